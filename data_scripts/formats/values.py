"""Converts values of tables and JSON: missing values, names, labels, times, and values for JSON output."""

import math
import re
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from .times import clock_seconds, iso_date

# Missing values, as pandas and spreadsheets write them.
MISSING = {"", "nan", "NaN", "NA", "N/A", "#N/A", "<NA>", "NaT", "null", "NULL"}
NOBODY = MISSING | {"None"}
DECIMAL_COMMA = re.compile(r"-?\d{1,12},\d{1,12}")
# From these numbers on, a time is not one of a recording, but seconds, or their fractions, since 1970.
EPOCHS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e9, 1.0))
# A larger number is not a time, not even in nanoseconds since 1970.
MOST_SECONDS = 1e20


def text_of(value: Any) -> str:
    """A cell as text. A number without a fraction is written as an integer. "" for None and NaN."""
    if type(value) is str:  # the most common case
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(plain_value(value))


def speaker_of(value: Any) -> str:
    """The name of a speaker in a table; "" if it is missing or written as a missing value by pandas."""
    name = name_of(value)
    return "" if name in NOBODY else name


def name_of(value: Any) -> str:
    """A user name in an app, where a person may be called Nan, Null or NA; "" if it is missing."""
    return text_of(value).strip()


def label_of(value: Any) -> str | None:
    """The name of a label, or the digits of its number; None for a missing one or -1, as in `datasets`."""
    if value == -1 and not isinstance(value, str):
        return None
    label = " ".join(text_of(value).split())
    return None if label in MISSING else label


def time_of(value: Any, decimal_comma: bool = False) -> float | str | None:
    """A time in seconds, from a number or a clock such as `0:05`, or a date as it is written; None if it is missing.

    Seconds, milliseconds, microseconds and nanoseconds since 1970 become a date in ISO 8601.
    With `decimal_comma`, `0,5` is half a second.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return date_or_seconds(value)
    text = text_of(value).strip()
    if decimal_comma and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return date_or_seconds(float(text))
    except ValueError:
        clock = clock_seconds(text)
        return clock if clock is not None else None if text in NOBODY else text


def date_or_seconds(number: float) -> float | str | None:
    """A number as seconds, or as a date in ISO 8601 if it is so large that it counts from 1970."""
    if not abs(number) < MOST_SECONDS:
        return None
    unit = next((unit for least, unit in EPOCHS if number >= least), None)
    date = iso_date(number / unit) if unit else None
    # The year 2100 is an arbitrary bound: a number beyond it is of some other kind.
    return date if date and date < "2100" else float(number)


def plain_value(value: Any) -> Any:
    """Convert a value to JSON: dates to ISO 8601, NaN to None."""
    if type(value) is str:  # the most common case
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else None
    if isinstance(value, dict):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
