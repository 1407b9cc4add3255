"""Safetensors files: written in full or not at all; one that is not as it should be is refused, and never run."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import pickle
import resource
import stat
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad import safetensors_file

from .saved import again, dumped, linked, loaded, names_in, nested


def file_of(header: Any, data: bytes = b"", size: int | None = None) -> bytes:
    """A safetensors file with that header (an object, or text)."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if size is None else size).to_bytes(8, "little") + text + data


def structured(structure: Any, **entries: Any) -> bytes:
    """A file with that structure, and two float32 numbers called "a"."""
    text = structure if isinstance(structure, str) else json.dumps(structure)
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **entries}
    return file_of({"__metadata__": {"tapegrad": text}, "a": entry}, bytes(8))


# Writing in full or not at all


def test_a_new_file_has_the_mode_of_new_files_and_an_old_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    tg.save(1, tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "a").chmod(0o640)
    tg.save(2, tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert tg.load(tmp_path / "a") == 2


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "a")
    tg.save(1, tmp_path / "link")
    tg.save(2, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert tg.load(tmp_path / "there" / "a") == 2


def test_what_is_no_regular_file_is_written_to_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        tg.save([1, 2], tmp_path / "pipe")
        assert (tmp_path / "pipe").is_fifo()
        assert loaded(os.read(reader, 10_000)) == [1, 2]
    finally:
        os.close(reader)


def test_a_pipe(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", 0) as source, os.fdopen(writer, "wb", 0) as sink:
        tg.save({"x": tg.arange(3)}, sink)
        sink.close()
        assert tg.load(source)["x"].tolist() == [0, 1, 2]


class Slow(io.RawIOBase):
    """A file that takes and gives a few bytes at a time."""

    def __init__(self, data: bytes = b"") -> None:
        self.inner = io.BytesIO(data)

    def write(self, data: Any) -> int:
        return self.inner.write(bytes(data[:5]))

    def read(self, count: int = -1) -> bytes:
        return self.inner.read(count if count < 0 else min(count, 5))


def test_a_file_that_takes_and_gives_little_at_a_time() -> None:
    sink = Slow()
    tg.save({"x": tg.arange(30)}, sink)
    assert sink.inner.getvalue() == dumped({"x": tg.arange(30)})
    assert tg.load(Slow(sink.inner.getvalue()))["x"].tolist() == list(range(30))


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["touch", "replace", "chmod"])
def test_a_failure_or_interrupt_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    tg.save(1, tmp_path / "a")

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    monkeypatch.setattr(safetensors_file.Path, step, fail)
    with pytest.raises(type(error)):
        tg.save(tg.ones(3), tmp_path / "a")
    assert names_in(tmp_path) == ["a"]
    assert tg.load(tmp_path / "a") == 1


FULL = """
import resource, sys, tapegrad as tg
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    tg.save(tg.zeros(1000, 1000), sys.argv[1])
except OSError as error:
    print(error.errno)
"""


def test_a_full_disk(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    tg.save(1, tmp_path / "a")
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "a"], capture_output=True, text=True, check=True)
    assert int(done.stdout) == errno.EFBIG
    assert names_in(tmp_path) == ["a"]
    assert tg.load(tmp_path / "a") == 1


def test_the_file_is_on_the_disk_before_it_takes_the_place_of_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(number: int) -> None:
        events.append(f"fsync {os.fstat(number).st_size > 8}")
        fsync(number)

    def replaced(self: Path, target: Any) -> Any:
        events.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(safetensors_file.Path, "replace", replaced)
    tg.save(1, tmp_path / "a")
    assert events == ["fsync True", "replace"]


# Files that are not as they should be


class Bomb:
    def __reduce__(self) -> Any:
        return os.abort, ()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Bomb()))
    return file.getvalue()


ENTRY = {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}
ONE = {"version": 1, "object": {"tensor": 0}, "tensors": [{"name": "a"}], "orders": {}}


def one(**row: Any) -> bytes:
    """A file whose only tensor has this row."""
    window = {"dtype": "float32", "shape": [2], "strides": [1], "offset": 0}
    return structured({**ONE, "tensors": [{"name": "a", **window, **row}]})


def of(body: Any) -> bytes:
    """A file with this object in it."""
    return structured({**ONE, "object": body})


def test_the_templates_are_right() -> None:
    assert loaded(structured(ONE)).tolist() == [0, 0]
    assert loaded(one()).tolist() == [0, 0]
    assert loaded(one(shape=[3, 0], strides=[5, 5], offset=77)).shape == (3, 0)
    assert loaded(one(dtype="bool", shape=[2**60], strides=[0])).numel() == 2**60
    assert loaded(of([1, {"tuple": [2, {"float": "inf"}]}])) == [1, (2, math.inf)]
    assert loaded(file_of({"a": ENTRY}, b"12"))["a"].tolist() == [49, 50]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "too short"),
        (b"1234567", "too short"),
        (b"text that is no tensor", "header would be too long"),
        (pickle.dumps(Bomb()), "a pickle"),
        (pickle.dumps(Bomb(), 2), "a pickle"),
        (zipped(), "a zip archive, as torch.save writes"),
        (file_of({}, size=100_000_001), "header would be too long"),
        (file_of({}, size=2**63), "header would be too long"),
        (file_of({}, size=1000), "ends within its header"),
        (file_of(b"{"), "not JSON"),
        (file_of(b"\xff\xfe"), "not JSON"),
        (file_of(b'{"a": NaN}'), "NaN is not JSON"),
        (file_of(b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},' * 2 + b"}"), "not JSON"),
        (file_of(b'{"a":' + json.dumps(ENTRY).encode() + b',"a":' + json.dumps(ENTRY).encode() + b"}", b"12"), "twice"),
        (file_of(b'{"a":{"dtype":"U8","dtype":"I8","shape":[2],"data_offsets":[0,2]}}', b"12"), "twice"),
        (file_of(b"[" * 1_000_000), "nested too deeply"),
        (file_of(b'{"a":' * 1_000_000), "nested too deeply"),
        (file_of([]), "no object"),
        (file_of(3), "no object"),
        (file_of({"__metadata__": []}), "no object"),
        (file_of({"__metadata__": {"a": 1}}), "expected a string"),
        (file_of({"a": 1}), "invalid"),
        (file_of({"a": {}}), "missing field"),
        (file_of({"a": ENTRY}, b"1"), "not fully covered|incomplete"),
        (file_of({"a": ENTRY}, b"123"), "not fully covered|incomplete"),
        (file_of({"a": {**ENTRY, "data_offsets": [0, 3]}}, b"123"), "not valid|valid safetensors"),
        (file_of({"a": {**ENTRY, "data_offsets": [2, 0]}}, b"12"), "offset"),
        (file_of({"a": {**ENTRY, "data_offsets": [-1, 1]}}, b"12"), "not a valid"),
        (file_of({"a": {**ENTRY, "data_offsets": [0, 2**64]}}, b"12"), "not a valid"),
        (file_of({"a": ENTRY, "b": ENTRY}, b"12"), "offset"),
        (file_of({"a": ENTRY, "b": {**ENTRY, "data_offsets": [1, 3]}}, b"123"), "offset"),
        (file_of({"a": ENTRY, "b": {**ENTRY, "data_offsets": [3, 5]}}, b"12345"), "offset"),
        (file_of({"a": {**ENTRY, "shape": [-2]}}, b"12"), "not a valid"),
        (file_of({"a": {**ENTRY, "shape": [2**40, 2**40]}}, b"12"), "overflow"),
        (file_of({"a": {**ENTRY, "shape": 2}}, b"12"), "not a valid"),
        (file_of({"a": {**ENTRY, "shape": [1] * 99 + [2]}}, b"12"), "cannot be opened"),
        (file_of({"a": {**ENTRY, "dtype": "Q8"}}, b"12"), "Q8"),
        (file_of({"a": {**ENTRY, "dtype": "F8_E5M2"}}, b"12"), "'a' is of type F8_E5M2, which tensors cannot be"),
        (file_of({"a": {**ENTRY, "dtype": "U16", "shape": [1]}}, b"12"), "'a' is of type U16"),
        (file_of({"a": {**ENTRY, "dtype": "BOOL"}}, b"\1\2"), "neither 0 nor 1"),
        (structured("{"), "structure is not JSON"),
        (structured("[" * 100_000), "structure is not JSON: it is nested too deeply"),
        (structured('{"version": 1, "version": 1}'), "twice"),
        (structured('{"version": ' + "9" * 5000 + "}"), "structure is not JSON"),
        (structured([]), "no version"),
        (structured({**ONE, "version": True}), "no version"),
        (structured({**ONE, "version": 2}), "version 2; this tapegrad reads 1"),
        (structured({"version": 1, "tensors": []}), "incomplete"),
        (structured({"version": 1, "object": 1}), "incomplete"),
        (structured({"version": 1, "object": 1, "tensors": []}), "incomplete"),
        (structured({**ONE, "orders": {"a": [1]}}), "order of axes"),
        (structured({**ONE, "orders": {"a": [0, 0]}}), "order of axes"),
        (structured({**ONE, "orders": {"a": "0"}}), "order of axes"),
        (structured({**ONE, "orders": {"a": list(range(99))}}, shape=[2] + [1] * 98), "cannot be opened"),
        (structured({**ONE, "tensors": {}}), "incomplete"),
        (structured({**ONE, "tensors": [1]}), "not in the file"),
        (structured({**ONE, "tensors": [{"name": "b"}]}), "not in the file"),
        (structured({**ONE, "tensors": [{"name": ["a"]}]}), "not in the file"),
        (structured({**ONE, "tensors": [{"name": "a", "requires_grad": 1}]}), "cannot require grad"),
        (one(dtype="int32", requires_grad=True), "cannot require grad"),
        (one(dtype="float33"), "dtype 'float33'"),
        (one(dtype=None), "dtype None"),
        (one(dtype="complex128"), "beyond its memory"),
        (one(dtype="bool", shape=[9]), "beyond its memory"),
        (one(shape=[3]), "beyond its memory"),
        (one(shape=[2], offset=1), "beyond its memory"),
        (one(offset=-1), "beyond its memory"),
        (one(strides=[2]), "beyond its memory"),
        (one(strides=[-1]), "beyond its memory"),
        (one(strides=[2**62]), "beyond its memory"),
        (one(shape=[2**62, 2**62], strides=[0, 0]), "cannot be opened"),
        (one(shape=[1] * 99, strides=[2**62] * 99), "cannot be opened"),
        (one(shape=[1], strides=[2**62]), "cannot be opened"),
        (one(shape=[2**70]), "none"),
        (one(shape=[True]), "none"),
        (one(shape=[2.0]), "none"),
        (one(shape="2"), "none"),
        (one(shape=[-2]), "do not go together"),
        (one(shape=[1, 2]), "do not go together"),
        (one(strides=None), "none"),
        (one(offset=None), "none"),
        (of({}), "several kinds, or of none"),
        (of({"tuple": [], "dict": []}), "several kinds"),
        (of({"tensor": 1}), "unknown kind, 'tensor'"),
        (of({"tensor": -1}), "unknown kind"),
        (of({"tensor": True}), "unknown kind"),
        (of({"tuple": 3}), "unknown kind"),
        (of({"float": "1"}), "unknown kind"),
        (of({"float": []}), "unknown kind"),
        (of({"eval": "1"}), "unknown kind, 'eval'"),
        (of({"dict": 1}), "without items"),
        (of({"dict": [[1]]}), "an item that is none"),
        (of({"dict": [[[], 1]]}), "a key that is none"),
        (of({"dict": [[{"tensor": 0}, 1]]}), "unknown kind"),
        (of({"str": "a"}), "unknown kind"),
        (of({"str": [-1]}), "unknown kind"),
        (of({"str": [1114112]}), "unknown kind"),
        (of({"dict": [[1, 1], [1, 2]]}), "appears twice"),
        (of({"OrderedDict": [[True, 1]]}), "a key that is none"),
        (of({"Size": [1, "a"]}), "Size"),
        (of({"dtype": []}), "dtype"),
        (of({"device": "x"}), "device 'x'"),
        (of(nested(150, lambda x: [x])), "nested more than 100 levels"),
        (of(nested(101, lambda x: {"tuple": [x]})), "nested more than 100 levels"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_it_should_be(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "bad.file").write_bytes(data)
    with pytest.raises(tg.LoadError, match=said) as caught:
        tg.load(tmp_path / "bad.file")
    assert str(tmp_path / "bad.file") in str(caught.value)
    assert isinstance(caught.value, ValueError | RuntimeError)
    with pytest.raises(tg.LoadError, match="<BytesIO>"):
        loaded(data)


WHOLE = dumped(
    {
        "weights": [tg.arange(6.0).reshape(2, 3), tg.ones(2, dtype=tg.complex128), tg.ones(3, dtype=tg.bfloat16)],
        "shared": linked(tg.arange(12).reshape(3, 4).clone()),
        3: (tg.tensor([True, False]), None, 1.5, math.nan, "text", tg.float16, tg.Size([1]), OrderedDict(a=1)),
        "leaf": tg.ones(2, requires_grad=True),
    }
)
HEADER = 8 + int.from_bytes(WHOLE[:8], "little")


def damaged(data: st.DataObject) -> bytes:
    """The file cut short, or with some of its bytes changed, most often in the header."""
    found = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, HEADER - 1) | st.integers(0, 7) | st.integers(0, len(WHOLE) - 1))
        found[at] = data.draw(st.integers(0, 255) | st.sampled_from(b'0123456789[]{}",:-.eE\\ tfn'))
    if data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(found)))
        del found[start : start + data.draw(st.integers(0, 40))]
    return bytes(found[: data.draw(st.sampled_from([len(found), data.draw(st.integers(0, len(found)))]))])


@given(st.data())
def test_a_damaged_file_loads_or_is_refused(data: st.DataObject) -> None:
    """What it loads can be used: the values are printed, and saved once more."""
    try:
        found = loaded(damaged(data))
    except tg.LoadError:
        return
    repr(found)
    again(found)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_bytes_load_or_are_refused(header: bytes, rest: bytes) -> None:
    for data in (header + rest, file_of(header, rest)):
        try:
            loaded(data)
        except tg.LoadError:
            continue
        safetensors.deserialize(data)  # what we take, the format's own reader takes
