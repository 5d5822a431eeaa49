"""The rules of line protocol, one case each, about one sample of a meter."""

from dataclasses import dataclass

# {p} is the project as written, {t} the time in nanoseconds.
GOOD = "project_vcpu_usage,project_id={p} value=7 {t}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A body, the value that must be stored of it, and its bad lines with their faults."""

    name: str
    form: str
    value: float = 7.0
    refused: tuple[tuple[int, str], ...] = ()

    def body(self, project: str, now_ms: int) -> bytes:
        """Write the body of this case for a project of its own, whose name may hold spaces."""
        form = self.form.replace("GOOD", GOOD).replace("{p}", project.replace(" ", "\\ "))
        return form.replace("{t}", f"{now_ms}000000").encode()


def _value(written: str) -> str:
    return GOOD.replace("value=7", f"value={written}")


def _fields(written: str) -> str:
    return GOOD.replace("value=7", written)


def _bad(name: str, line: str, words: str) -> Rule:
    """Make a case of a bad line between two others: only the second sample is left."""
    return Rule(name, f"# head\n{line}\nGOOD\n", refused=((2, words),))


RULES = (
    Rule("no newline at the end", "GOOD"),
    Rule("CRLF", "GOOD\r\n\r\n"),
    Rule("a carriage return at the end", "GOOD\r"),
    Rule("blank lines, spaces and comments", "\n \n\r\n# x\n  #y\r\n\n GOOD  \n\n  "),
    Rule("several spaces between the sections", GOOD.replace(" ", "   ")),
    Rule("a comment with a tab and quotes", '#\t"x\nGOOD'),
    Rule("an integer", _value("7i")),
    Rule("a negative zero", _value("-0i"), 0.0),
    Rule("an unsigned integer", _value("7u")),
    Rule("true", _value("True"), 1.0),
    Rule("false", _value("f"), 0.0),
    Rule("a float without a whole part", _value(".5"), 0.5),
    Rule("a float with a bare point", _value("7.")),
    Rule("a float with an exponent", _value("70E-1")),
    Rule("an integer with zeros before it", _value("007i")),
    Rule("a repeated field: the last counts", _fields("value=1,value=7")),
    Rule("a string beside it", _fields(r'value=7,s="a, b=c \"\\ \x"')),
    Rule("raw newlines in a string", _fields('s="a\r\nproject_vcpu_usage value=1\n",value=7')),
    Rule("what cuts lines elsewhere", _fields('s="\v\f\x1c\x85\u2028\u2029",value=7')),
    Rule("escapes in names", GOOD.replace("={p} ", r"={p},a\ b\,c\=d=\=\,\  ")),
    Rule("a backslash before anything else", GOOD.replace("={p} ", r"={p},a\b=c\\d ")),
    Rule("quotes in names", GOOD.replace("={p} ", '={p},"a="b\' ')),
    Rule("lines without sight in names", GOOD.replace("={p} ", "={p},a\x85=\u2028\u00a0 ")),
    _bad("no measurement", ",project_id={p} value=1 {t}", "missing measurement"),
    _bad("no fields", "project_vcpu_usage,project_id={p}", "missing fields"),
    _bad("an empty tag value", "project_vcpu_usage,project_id= value=1", "an empty value"),
    _bad("an empty tag name", "project_vcpu_usage,={p} value=1", "missing tag name"),
    _bad("a duplicate tag", "m,a=1,project_id={p},a=1 value=1", "duplicate tag"),
    _bad("time as a tag", "m,time=1 value=1", '"time" cannot be the name of a tag'),
    _bad("time as a field", "m time=1", '"time" cannot be the name of a field'),
    _bad("a tab between the sections", GOOD.replace(" ", "\t"), "unexpected"),
    _bad("a vertical tab in a name", "m\vn value=1", "unexpected"),
    _bad("a backslash at the end of a tag", "m,a=b\\ value=1", "unexpected"),
    _bad("a backslash at the end of the line", "m,a=b\\", "unexpected"),
    _bad("a string without an end", 'm value="x', "a string without an end"),
    _bad("something behind a string", 'm s="x"y', "unexpected"),
    _bad("NaN", "m value=NaN", "invalid number"),
    _bad("a plus sign", "m value=+1", "invalid number"),
    _bad("digits as Python writes them", "m value=1_0", "invalid number"),
    _bad("digits of another script", "m value=\u0661", "invalid number"),
    _bad("int64 and one more", "m value=9223372036854775808i", "out of range"),
    _bad("uint64 and one more", "m value=18446744073709551616u", "out of range"),
    _bad("a negative unsigned integer", "m value=-1u", "invalid number"),
    _bad("a float out of range", "m value=1e309", "out of range"),
    _bad("a time with a fraction", "m value=1 1.5", "invalid timestamp"),
    _bad("the time that InfluxDB keeps", "m value=1 9223372036854775807", "out of range"),
    Rule(
        "line numbers behind a string with newlines",
        'm s="\n\n"\nbad\nGOOD\nm s="\n",x=1_0\nbad',
        refused=((4, "missing fields"), (6, "invalid number"), (8, "missing fields")),
    ),
)
