"""Composition: configuration, disk, processes and stages. Belongs to the distribution streamnotes (align)."""
