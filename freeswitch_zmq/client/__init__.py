"""What runs anywhere but inside FreeSWITCH: programs that have to do with a switch that runs the module.

`freeswitch_zmq.client.service` is for the program that a switch asks: about calls in its dialplan, and about XML.
"""
