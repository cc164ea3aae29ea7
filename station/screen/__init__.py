"""The touchscreen: a client of the daemon's socket that draws the last Snapshot and sends commands.

It keeps nothing but that snapshot, the page that is open and the finger on the glass, so it may crash and start
again at any time.

    client   the socket            touch    the finger              app      the loop around them
    theme    colours, looks        text     fonts, lines that fit   shapes   smooth discs, rings, icons
    canvas   what a scene draws on  widgets  badge, bar, button …    words    phases and times in words
    pages    which page is open     handset  phones by their buttons    facts   what a phone tells, masked
    art      what a phone shows, a finger, a cable              named   how a scene about a phone begins
    qr       a code for a camera    totals   a bench in one line
    office   the operator's pages, and what is being chosen there       signs   their icons
    sketch   what a picture is of  glass    the display, turned     doze    when it goes dim, what wakes it
    scenes/  one file for each screen; render chooses the one that a snapshot and an open page ask for
             scenes/operator/ is behind the PIN; furniture is what those pages are made of
"""

import os

# Before pygame is first imported: it would greet on stdout, where `station screen` has nothing to say.
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
