"""Reads the times of utterances: seconds in a recording, and dates of messages in the formats of any locale."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

# The silence between messages that ends a dialogue, in seconds: about one night.
CHAT_SILENCE = 8 * 3600.0
# From the day before the year 1 to the first of the cycles of 33 years that the Persian calendar is counted in.
DAYS_BEFORE_PERSIAN = 356032
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# The names in English; German ones that are spelled alike are included.
MONTH = (
    r"(?:Jan(?:uary?)?|Feb(?:ruary?)?|Mar(?:ch)?|Apr(?:il)?|May|Jun[ei]?|Jul[iy]?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,?\s"
SECONDS = re.compile(r"\s*(?:(\d{1,6}):)?(\d{1,6}):(\d{1,6})(?:[.,](\d{1,6}))?\s*(?:([AaPp])\.?\s?[Mm]\.?)?\s*")
# The marks for p.m., before or after the hour. Other marks are taken for a.m.
AFTERNOON = re.compile(
    r"p\.?\s?m|^p\.?$|tarde|noche|[μΜ]\.?\s?[μΜ]|م|下午|晚上|中午|傍晚|오후|午後|ÖS|PTG|\bCH\b|chiều|tối|\bodp|\bdu\b|\bip\b|e\.?\s?m\b"
    r"|หลังเที่ยง|अपराह्न|منتصف النهار|אחה",
    re.IGNORECASE,
)
MORNING = re.compile(
    r"a\.?\s?m|^a\.?$|[πΠ]\.?\s?[μΜ]|ص|上午|凌晨|早上|清晨|오전|午前|ÖÖ|PG|\bSA\b|sáng|\bdop|\bde\b|\bap\b|f\.?\s?m\b"
    r"|ก่อนเที่ยง|पूर्वाह्न|לפנה",
    re.IGNORECASE,
)


def clock_seconds(text: str) -> float | None:
    """The seconds of `1:02:03.5` or `02:03`, or since midnight of `10:15 AM`. None if it is not a time."""
    time = SECONDS.fullmatch(text)
    if not time:
        return None
    first, second, third, fraction, half = time.groups()
    if half:
        # A time of day with two numbers has hours and minutes.
        hours, minutes, seconds = (first, second, third) if first else (second, third, "0")
        return half_day_hour(int(hours), half) * 3600.0 + int(minutes) * 60 + int(seconds)
    return int(first or 0) * 3600 + int(second) * 60 + float(f"{int(third)}.{fraction or 0}")


def half_day_hour(hour: int, half: str) -> int:
    """Convert an hour of the 12-hour clock to the 24-hour clock, by the text next to it."""
    if AFTERNOON.search(half):
        return hour if hour >= 12 else hour + 12
    return 0 if hour == 12 and MORNING.search(half) else hour


def hour_and_minute(clock: re.Match) -> tuple[int, int]:
    """The time of day from the groups `before`, `hour`, `minute` and `after` of a match."""
    half = f"{clock['before'] or ''} {clock['after'] or ''}".strip()
    return half_day_hour(int(clock["hour"]), half), int(clock["minute"])


def moment(date: Sequence[int] | None, time: Sequence[int]) -> str | float | None:
    """A date and time in ISO 8601; None if there is no such date. Without a date, the seconds since midnight.

    Args:
        date: The year, month and day.
        time: The hour and minute, and optionally the second.
    """
    if date is None:
        return time[0] * 3600.0 + time[1] * 60
    try:
        return datetime(*(*date, *time)).isoformat()  # type: ignore[arg-type]
    except ValueError:
        return None


def date_numbers(day: str) -> tuple[int, int, int]:
    """The three numbers of a date, in its order. With the name of a month, the order is year, month, day."""
    day = re.sub(WEEKDAY, "", day, count=1, flags=re.IGNORECASE)
    name = re.search(r"[A-Za-z]+", day)
    numbers = [int(number) for number in re.findall(r"\d+", day)]
    if name is None:
        return numbers[0], numbers[1], numbers[2]
    date, year = numbers
    return (year + 2000 if year < 100 else year), MONTHS.index(name[0][:3].lower()) + 1, date


def date_order(dates: Iterable[Sequence[int]], twelve_hours: bool) -> str:
    """The order of the numbers in dates, "ymd", "dmy" or "mdy": the one that fits all dates.

    If several orders fit, the one in which time goes back least often is chosen. If they are still equal,
    `twelve_hours` decides: a clock with a.m. and p.m. means the American order "mdy", otherwise it is "dmy".
    """
    found = list(dates)
    orders = [order for order in ("ymd", "dmy", "mdy") if all(is_date(date, order) for date in found)]
    if any(len(str(first)) > 2 for first, *_ in found):
        return "ymd"
    orders = [order for order in orders if order != "ymd"] or orders or ["dmy"]
    orders.sort(key=lambda order: (order == "dmy") == twelve_hours)
    return min(orders, key=lambda order: steps_back([in_order(date, order) for date in found]))


def in_order(date: Sequence[int], order: str) -> tuple[int, int, int]:
    """The year, month and day of a date in a given order. Two-digit years are in this century.

    Years from 2500 on are those of the Thai calendar, which are 543 ahead. Those of the 14th and 15th century are
    Persian.
    """
    year, month, day = (date[order.index(part)] for part in "ymd")
    year += 2000 if year < 100 else 0
    if 1300 <= year < 1500 and month <= 12 and day <= 31:
        return from_persian(year, month, day)
    return year - 543 if 2500 <= year < 2700 else year, month, day


def from_persian(year: int, month: int, day: int) -> tuple[int, int, int]:
    """Convert a date of the Persian calendar, in the 14th or 15th century, to the Gregorian calendar.

    In every 33 years, 8 have a day more. The first six months have 31 days, the others 30.
    """
    years = year + 1595
    days = 365 * years + years // 33 * 8 + (years % 33 + 3) // 4
    days += (month - 1) * 31 - max(0, month - 7) + day - 1
    date = datetime.fromordinal(days - DAYS_BEFORE_PERSIAN)
    return date.year, date.month, date.day


def is_date(date: Sequence[int], order: str) -> bool:
    """Whether three numbers are a valid date in a given order."""
    try:
        datetime(*in_order(date, order))
    except ValueError:
        return False
    return True


def steps_back(dates: list[tuple[int, int, int]]) -> int:
    """The number of times that a date is earlier than the one before it."""
    return sum(later < earlier for earlier, later in zip(dates, dates[1:], strict=False))


def iso_date(moment: object) -> str | None:
    """Convert a date, or seconds since 1970, to ISO 8601. None if it is not a date."""
    try:
        if isinstance(moment, int | float) and not isinstance(moment, bool):
            return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")
        return datetime.fromisoformat(str(moment).replace("Z", "+00:00")).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None


def seconds_of(time: float | str | None) -> float | None:
    """The time of an utterance in seconds, to compute the silence before the next. None without a time."""
    if isinstance(time, str):
        try:
            date = datetime.fromisoformat(time.replace("Z", "+00:00"))
        except ValueError:
            return None
        # Either all dates of a file have a time zone, or none has.
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
    return time


def shown_time(time: float | str | None) -> str:
    """Format a time for display: `0:05`, `1:02:03` or `2023-04-30 17:33`."""
    if isinstance(time, str):
        return time[:16].replace("T", " ")
    if time is None:
        return ""
    minutes, seconds = divmod(int(time), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
