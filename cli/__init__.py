"""Words only: parse, print, exit code. Belongs to the distribution streamnotes (align)."""
