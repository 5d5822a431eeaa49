"""No float comes near money: where one may stand is written here, with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.source import SERVICE, dotted, parsed, service_files

# Whole rooms, and the files elsewhere, in which quantities, prices and credits are worked out.
ROOMS = ("rating", "ledger")
FILES = (
    "domain/allowance.py",
    "domain/amount.py",
    "domain/balance.py",
    "domain/bill.py",
    "domain/budget.py",
    "domain/charge.py",
    "domain/difference.py",
    "domain/entry.py",
    "domain/exclusion.py",
    "domain/expiry.py",
    "domain/grant.py",
    "domain/history.py",
    "domain/instruction.py",
    "domain/lot.py",
    "domain/opening.py",
    "domain/portal.py",
    "domain/price.py",
    "domain/pricing.py",
    "domain/settlement.py",
    "domain/usage.py",
    "flows/accounts.py",
    "flows/append.py",
    "flows/bill.py",
    "flows/bill_account.py",
    "flows/bill_lines.py",
    "flows/bill_resources.py",
    "flows/book.py",
    "flows/burn.py",
    "flows/change.py",
    "flows/exclusions.py",
    "flows/lots.py",
    "flows/opening.py",
    "flows/opening_file.py",
    "flows/prices.py",
    "flows/reprice.py",
    "flows/retain.py",
    "flows/revise.py",
    "flows/seal.py",
    "flows/settle.py",
    "store/accounts.py",
    "store/allowances.py",
    "store/balances.py",
    "store/bill_quantities.py",
    "store/bills.py",
    "store/charges.py",
    "store/daily_usage.py",
    "store/entries.py",
    "store/expiries.py",
    "store/grants.py",
    "store/instructions.py",
    "store/lots.py",
    "store/openings.py",
    "store/portal.py",
    "store/prices.py",
    "store/retention.py",
    "store/settlements.py",
    "store/transfers.py",
    "store/usage.py",
    "store/usage_reads.py",
)
FLOATS = {"float", "float16", "float32", "float64", "float128", "double", "longdouble", "inf"}
# What gives a float of whole numbers, or works in floats only.
MAKERS = {"mean", "average", "divide", "true_divide", "interp", "linspace", "fsum", "sqrt", "pow"}

ALLOWED = {
    "domain/amount.py: credits_of": "refuses floats",
    "domain/opening.py: OpeningCounter": "the value of a counter's sample, as it was",
    "domain/opening.py: _number": "reads such a value, as a push would",
    "domain/price.py: price_of": "refuses floats",
    "flows/opening.py: _last_samples": "values of samples, before they are steps",
    "flows/opening_file.py: LastCounter": "the value of a counter's sample, as it was",
    "rating/acceptance.py: _Work.__init__": "no values at all",
    "rating/acceptance.py: _Work._within_window": "writes a sentence",
    "rating/glance.py: _takes_all": "the least and the largest value as they came",
    "rating/judgement.py: Judgement": "values as they came, before they are steps",
    "rating/merge.py: merge": "compares values, and computes with none",
    "rating/usage.py: SampleColumns": "values as they came, before they are steps",
    "rating/usage.py: in_range": "decides whether a value can become steps",
    "rating/usage.py: steps_of": "the one place where a float becomes a number money is made of",
}


def is_float(node: ast.AST) -> bool:
    """Tell whether a piece of source names a float, makes one, or divides into one."""
    match node:
        case ast.Constant(value=float() | complex()):
            return True
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in FLOATS | MAKERS or dotted(node).startswith("math.")
        case ast.Constant(value=str() as text):
            return any(word in text.lower() for word in ("float8", "::float", "double precision"))
    return False


def places(node: ast.AST, inside: str = "") -> Iterator[str]:
    """Give the function or class around each float, by its full name."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from places(child, f"{inside}.{child.name}".lstrip("."))
        else:
            if is_float(child):
                yield inside
            yield from places(child, inside)


def guarded_files() -> list[Path]:
    """Give the files in which money is worked out."""
    rooms = [
        path for path in service_files() if path.relative_to(SERVICE).parts[0] in ROOMS
    ]  # fmt: skip
    assert rooms
    return rooms + [SERVICE / name for name in FILES]


@pytest.mark.parametrize(
    "source",
    [
        "charge = float(quantity) * price",
        "charge = quantity * 0.3",
        "hours = quantity / 3_600_000",
        "quantity /= 2",
        "total: np.float64 = x",
        "total = values.mean()",
        "x = math.floor(y)",
        "SQL = 'SELECT sum(credits)::float8'",
        "def f():\n    return lambda: 1e-6",
    ],
)
def test_a_float_is_recognised(source: str) -> None:
    assert list(places(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "charge = quantity * price // unit",
        "price = Decimal('0.3')",
        "x = 10**6",
        "y = divmod(a, b)",
    ],
)
def test_exact_arithmetic_pleases(source: str) -> None:
    assert not list(places(ast.parse(source)))


def test_no_float_stands_where_money_is_worked_out_but_where_it_must() -> None:
    found = {
        f"{path.relative_to(SERVICE)}: {name}"
        for path in guarded_files()
        for name in places(parsed(path))
    }

    assert sorted(found) == sorted(ALLOWED)
