"""Files -> Session(Stream..., Note...): one small file per format, behind the table in ``registry``."""

from align.readers.notes import read_notes, read_notes_with_findings, read_truth
from align.readers.policy import Policy
from align.readers.registry import READERS, check_streams, read_stream, read_streams
from align.readers.session import read_session, session_files, session_folders, session_of

__all__ = [
    "READERS",
    "Policy",
    "check_streams",
    "read_notes",
    "read_notes_with_findings",
    "read_session",
    "read_stream",
    "read_streams",
    "read_truth",
    "session_files",
    "session_folders",
    "session_of",
]
