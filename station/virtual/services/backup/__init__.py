"""com.apple.mobilebackup2: backs a phone up onto its host, and puts a backup back.

service      what a host asks for, and the answers
device_link  the wire: the phone asks, the host does as it is told
drive        the backup directory on the host, as the phone reads it
scanning     what of the phone's files belongs into a backup, and its form there
writing      a backup, from the first byte to the last rename
restoring    a backup that is put back: checked, fetched, laid out
placing      what a restart does with what was laid out
manifest     the list of files: Manifest.plist and Manifest.db
records      one file in it
keybag       passwords and the keys behind them
domains      where on the phone a file of a backup belongs
errors       what the host is told when something is not right
"""
