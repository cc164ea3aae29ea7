"""The operator's pages, one file each: functions that draw a part of the snapshot into a box, as all scenes are."""
