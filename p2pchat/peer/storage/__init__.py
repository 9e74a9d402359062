"""
The database of a peer: what was said, and what else is kept, in one file of its state directory.

===============  ===========================================================
database         the file: made, checked, opened; what its errors mean
schema           its tables, and the migrations to them
connections      threads that use it (adbapi)
group_commit     the one that writes, all that waits at once
open_database    what uses that file: its writer and its readers
entry_table      statements that store entries and read them for the machines
profile_rows     tables of contacts and settings
secret_table     small secrets, encrypted
transfer_table   transfers of files; kept_transfers, its values
changes          what edits, deletions and lines said again do to entries
quota            how much is stored of one peer in a day
deletion         deletion for good, in pieces
message_store    the store of messages on all these
history          what a person asks of it
export           a conversation as a file
===============  ===========================================================
"""
