"""A packet-exact SIP caller on raw UDP, in a process of its own."""
