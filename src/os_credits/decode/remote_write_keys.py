"""The keys of remote write: label sets as the sender wrote them, and how to read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter

from google.protobuf.message import DecodeError

from os_credits.decode.label_set import LabelPairs, series_labels
from os_credits.decode.proto import remote_write_pb2 as proto
from os_credits.decode.varint import MORE, framed, read_varint, unframed
from os_credits.domain.sample import Labels
from os_credits.errors import InvalidInput, InvalidLabels

# In front of each label of a 1.0 series: "field 1, of a length that follows".
LABEL_TAG = 0x0A
_LABEL_TAG = bytes([LABEL_TAG])

# References make labels out of nothing: a symbol of a megabyte may be meant a thousand times.
LABELS_BYTES_MAX = 1024 * 1024
LABELS_MAX = 1000

# Beyond so many bytes of a series its labels are not looked for, but parsed: there may be more of
# them than one series may have.
LABEL_BLOCK_BYTES_MAX = 2 * LABELS_MAX

# In front of every 2.0 key, so that it is never mistaken for one of another form.
KEY_MARK_V2 = b"\0"


def label_block_end(series: bytes) -> int:
    """Say where the label fields end with which a 1.0 time series starts.

    Beyond the end of `series`, or short of the last label, where their lengths are broken or
    unusual (of three bytes, or of more than needed): then the series has to be parsed.
    """
    end = 0
    head = series
    if len(series) > LABEL_BLOCK_BYTES_MAX:
        head = series[:LABEL_BLOCK_BYTES_MAX]
    try:
        while head[end] == LABEL_TAG:
            length = head[end + 1]
            if length < MORE:
                end += 2 + length
            elif 0 < head[end + 2] < MORE:
                end += 3 + (length & 0x7F) + (head[end + 2] << 7)
            else:
                break
    except IndexError:
        pass  # the series ends with its labels, or within them
    return end


def key_v1(labels: Sequence[bytes]) -> bytes:
    """Build the key of the labels that the parser cut out of a 1.0 time series."""
    check_count(len(labels))
    return b"".join([_LABEL_TAG + framed(label) for label in labels])


def labels_of_v1(key: bytes) -> Labels:
    """Read the labels of a 1.0 key, or say why they cannot be used."""
    try:
        labels = proto.LabelSet.FromString(key).labels
    except DecodeError:
        raise InvalidLabels("broken label") from None
    return series_labels((label.name, label.value) for label in labels)


def labels_of_v2(key: bytes) -> Labels:
    """Read the labels of a 2.0 key, or say why they cannot be used."""
    try:
        symbols = _symbols(key)
    except InvalidInput:
        raise InvalidLabels("broken label") from None
    return series_labels(zip(symbols[::2], symbols[1::2], strict=True))


def labels_of(key: bytes) -> Labels:
    """Read the labels of a key of either version; its first byte tells which."""
    return labels_of_v2(key) if key.startswith(KEY_MARK_V2) else labels_of_v1(key)


def _symbols(key: bytes) -> list[bytes]:
    """Cut a 2.0 key into its symbols; an odd or cut one is no key of ours."""
    symbols: list[bytes] = []
    start = len(KEY_MARK_V2)
    while start < len(key):
        length, start = read_varint(key, start)
        symbols.append(key[start : start + length])
        start += length
    if start != len(key) or len(symbols) % 2 or not key.startswith(KEY_MARK_V2):
        raise InvalidInput("broken key")
    return symbols


class SymbolTable:
    """The texts that the references of a 2.0 body stand for."""

    def __init__(self, symbols: Iterable[bytes]) -> None:
        """Keep all symbols, each with its length in front."""
        self._framed = [framed(symbol) for symbol in symbols]
        self._longest = max(map(len, self._framed), default=0)

    def __len__(self) -> int:
        """Count the symbols."""
        return len(self._framed)

    def key_of(self, references: Sequence[int]) -> bytes:
        """Build the key of a time series from its references."""
        return KEY_MARK_V2 + b"".join(self._looked_up(references))

    def pairs_of(self, references: Sequence[int]) -> LabelPairs:
        """Look up names and values."""
        texts = [unframed(text) for text in self._looked_up(references)]
        return list(zip(texts[::2], texts[1::2], strict=True))

    def _looked_up(self, references: Sequence[int]) -> Sequence[bytes]:
        count = len(references)
        if count % 2:
            raise InvalidLabels("odd number of references to the symbol table")
        check_count(count // 2)
        if not count:
            return ()
        try:
            texts: Sequence[bytes] = itemgetter(*references)(self._framed)
        except IndexError:
            raise InvalidLabels("reference out of the symbol table") from None
        if count * self._longest > LABELS_BYTES_MAX and sum(map(len, texts)) > LABELS_BYTES_MAX:
            raise InvalidLabels(f"more than {LABELS_BYTES_MAX} bytes of labels")
        return texts


def check_count(label_count: int) -> None:
    """Raise InvalidLabels for more labels than one series or exemplar may have."""
    if label_count > LABELS_MAX:
        raise InvalidLabels(f"more than {LABELS_MAX} labels")
