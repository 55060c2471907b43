"""A server of the OpenAI Realtime protocol that needs no network and no key."""
