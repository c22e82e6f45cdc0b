"""A new folder with all that gets into it, none of which gets anywhere else.

Facts that force the design:

* Names come from a stranger, and systems take some of them for something else: `..`, a drive,
  a device, a stream of a file. So each name is one of a file, or it is refused.
* On a file system that ignores case, or writes accents in another way, two names may be one. So
  nothing is made that is there already, and nothing gets into a folder that was not made here.
* A link that is in the way is followed by the system. So links are made last, after all else.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from ..errors import VhdxError
from ..names import is_name
from .target import OutFile
from .urls import refuse_url

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL
_FLAGS |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)

_OWNERS_FILE, _OWNERS_FOLDER = 0o400, 0o700  # what owners may do, or they could not go on
_PERMISSIONS = 0o777  # of the twelve bits of a mode; no file runs as somebody else
_USUAL = 0o666

# Errors that are about a name, or a place that it cannot have; others are about the disk.
_OF_NAMES = (errno.EEXIST, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_OF_MEDIUM = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class NotMadeError(VhdxError):
    """Something cannot be made as it is, or under the name that it has; all else can."""


class NewTree:
    """A folder that is made, or is empty, and gets folders, files, and links at the end.

    Names are paths from it, with `/` between the names of folders.

    Args:
        path: Its path.

    Raises:
        OSError: It cannot be made, or there is something in it.
        UnsupportedError: Its path is a URL.
    """

    def __init__(self, path: str) -> None:
        refuse_url(path)
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        if os.path.islink(path) or not os.path.isdir(path) or os.listdir(path):
            message = "exists already, and is no empty folder"
            raise FileExistsError(errno.EEXIST, message, path)
        self._path = path
        self._folders: dict[str, int | None] = {
            "": None
        }  # that were made here, and the times that they get at the end

    def add_folder(self, name: str, mode: int | None, modified: int | None) -> None:
        """Make a folder.

        Args:
            name: Its name.
            mode: Who may do what; what the user forbids new files is left out.
            modified: When it was changed last, in nanoseconds since 1970; None is now.

        Raises:
            NotMadeError: It cannot be made under this name.
        """
        mode = _PERMISSIONS if mode is None else mode & _PERMISSIONS
        with self._told(name) as place:
            os.mkdir(place, mode | _OWNERS_FOLDER)
        self._folders[name] = modified

    def set_modified(self, modified: int | None) -> None:
        """Say when the folder itself was changed last, in nanoseconds since 1970."""
        self._folders[""] = modified

    @contextlib.contextmanager
    def new_file(self, name: str, mode: int | None, modified: int | None) -> Iterator[OutFile]:
        """Make a file, which is there when it is whole, or not at all.

        The arguments are those of `add_folder`.

        Yields:
            The file.

        Raises:
            NotMadeError: It cannot be made under this name.
            OSError: It cannot be written.
        """
        mode = _USUAL if mode is None else mode & _PERMISSIONS
        with self._told(name) as place:
            fd = os.open(place, _FLAGS, mode | _OWNERS_FILE)
        try:
            try:
                yield OutFile(fd, place)
            finally:
                os.close(fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(place)
            raise
        _set_time(place, modified)

    def add_name(self, name: str, other: str) -> None:
        """Give a file that was made another name, too.

        Args:
            name: The new name.
            other: The one that it has.

        Raises:
            NotMadeError: It cannot have it.
        """
        with self._told(name, _OF_MEDIUM) as place:
            os.link(os.path.join(self._path, other), place)

    def finish(self, links: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Make all links, and give folders their times.

        Args:
            links: The name of each, and where it leads.

        Yields:
            Names of links that cannot be made, and why.
        """
        for name, target in links:
            try:
                with self._told(name, _OF_MEDIUM) as place:
                    os.symlink(target, place)
            except NotMadeError as error:
                yield name, str(error)
        for name, modified in reversed(self._folders.items()):
            _set_time(os.path.join(self._path, name), modified)

    @contextlib.contextmanager
    def _told(self, name: str, others: tuple[int, ...] = ()) -> Iterator[str]:
        """Yield the path of what is to be made, and tell errors about its name from others.

        Args:
            name: Its name.
            others: The numbers of errors that are about something else; where there are none,
                those are listed that are about names.
        """
        steps = name.split("/")
        if not all(map(is_name, steps)):
            raise NotMadeError("no file of this system can have this name")
        if "/".join(steps[:-1]) not in self._folders:
            raise NotMadeError("its folder was not made")
        try:
            yield os.path.join(self._path, *steps)
        except FileExistsError:
            raise NotMadeError("this system takes its name for one that is there") from None
        except (OSError, ValueError, NotImplementedError) as error:
            number = error.errno if isinstance(error, OSError) else None
            is_other = number in others if others else number not in _OF_NAMES
            if isinstance(error, OSError) and is_other:
                raise
            raise NotMadeError(getattr(error, "strerror", None) or str(error)) from error


def give_status(path: str, mode: int | None, modified: int | None) -> None:
    """Give a new file the mode and the time of another; what the user forbids stays forbidden.

    Args:
        path: Its path.
        mode: Who may do what with the other one; None where nobody says so.
        modified: When that was changed last, in nanoseconds since 1970; None is now.
    """
    if mode is not None:
        usual = os.stat(path).st_mode & _PERMISSIONS  # as the user wants new files
        allowed = usual | (usual & 0o444) >> 2
        with contextlib.suppress(OSError):
            os.chmod(path, mode & allowed | _OWNERS_FILE)
    _set_time(path, modified)


def _set_time(path: str, modified: int | None) -> None:
    """Say when a file was changed last, where the system can say that."""
    if modified is None:
        return
    with contextlib.suppress(OSError, OverflowError, ValueError):
        os.utime(path, ns=(modified, modified))
