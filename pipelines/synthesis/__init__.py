"""How synthetic sessions are made: a plan of events, then motion, heart rate, sound and notes from it.

exact     sine, noise, resonators in arithmetic that gives the same bits on every machine
plan      who the person is and what happens when
sensors   the wrist and the heart rate of a plan
sounds    the microphone of a plan
voice     coughs, speech and the sounds of a mouth
wording   what a person writes about it
day       one long day in low resolution, with an absolute clock
folder    a session folder on disk
"""
