"""How calls arrive and leave: SIP participants, gateway, dialling."""
