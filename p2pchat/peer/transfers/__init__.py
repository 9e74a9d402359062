"""
Files to contacts, and from them.

==================  ============================================================
node_transfers      the transfers of a node, as front ends see them
new_transfers       those of a new one
sending             those that we send: offered, and gone on with
receiving           those that we are offered: asked for, accepted, gone on with
transfer_records    what each is now, and the events of that
file_streams        a machine of :mod:`p2pchat.session` on a stream, and its work
source_files        files that are sent: found, read, hashed
incoming_files      files that come: verified, written, named
file_threads        threads in which that is done
==================  ============================================================
"""
