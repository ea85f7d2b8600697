"""Units of measure: each word → its family's base unit and its size in it. Amounts of one family are compared by value.

Only exact conversions: 12 months are a year and 24 hours a day, but 30 days are no month, and a pound is no round
number of grams.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Unit(NamedTuple):
    base: str  # names the family: two amounts with different bases never meet
    size: Decimal  # one of this unit, in the base


# base: {size in the base: words}
_MEASURES: dict[str, dict[str, str]] = {
    "second": {
        "1": "seconds second secs sec 秒 秒钟 秒间",
        "60": "minutes minute mins min 分钟 分间 分",
        "3600": "hours hour hrs hr h 小时 时间 个小时 钟头 个钟头",  # 时间 is 時間, folded
        "86400": "days day 天 日间 日 天内",
        "604800": "weeks week wks wk 周间 周 星期 个星期",
        "1209600": "fortnights fortnight",
        "1296000": "半个月",
    },
    "month": {
        "1": "months month mths mth mo 个月 ヶ月 か月 ケ月 カ月 ヵ月 个月间 ヶ月间",
        "3": "季度",
        "12": "years year yrs yr 年间 年",
        "120": "decades decade",
    },
    "g": {
        "0.001": "mg 毫克",
        "1": "g grams gram 克 グラム",
        "50": "两",
        "500": "斤 市斤",
        "1000": "kgs kg kilos kilo kilograms 公斤 千克 キロ",
        "1000000": "吨 トン",
    },
    "oz": {"1": "oz ounces ounce", "16": "lbs lb"},
    "mm": {
        "1": "mm 毫米 ミリ",
        "10": "cm 厘米 公分 センチ",
        "1000": "m metres meters metre meter 米 メートル",
        "1000000": "kms km 公里 キロメートル",
    },
    "inch": {"1": 'inches inch in " ″ 英寸 インチ 寸', "12": "feet foot ft 英尺", "36": "yards yard yd 码"},
    "mile": {"1": "miles mile mi 英里 マイル"},
    "m2": {"1": "m2 sqm 平方米 平米 平 ㎡"},
    "sqft": {"1": "sqft"},
    "ml": {
        "1": "ml millilitres milliliters millilitre milliliter 毫升 ミリリットル",
        "10": "cl",
        "1000": "litres liters litre liter l 升 リットル",
    },
    "mb": {
        "1": "mb megabytes megabyte",
        "1000": "gb gigabytes gigabyte gigs gig",
        "1000000": "tb terabytes terabyte",
    },
    "mph": {"1": "mph miles-per-hour"},
    "w": {"1": "w watts watt 瓦", "1000": "kw 千瓦"},
    "kwh": {"1": "kwh 度电"},
    "mah": {"1": "mah 毫安"},
    "volt": {"1": "v volts volt 伏"},
    "degree": {"1": "°c °f ° degrees 摄氏度"},
    "age": {"1": "岁 周岁 歳 才 years-old year-old year-olds years-olds yrs-old 代"},
    "size": {"1": "码 号码"},
    "times": {"1": "x × times 倍 fold"},
    "": {"12": "ダース"},
    # currencies
    "$": {"1": "$ us$ usd dollars dollar bucks buck 美元 美金 ドル", "0.01": "cents cent ¢ 美分"},
    "€": {"1": "€ eur euros euro 欧元 ユーロ"},
    "£": {"1": "£ gbp quid pounds pound 英镑 ポンド", "0.01": "p pence"},
    # one sign for two currencies: the locale tells them apart
    "¥": {"1": "¥ cny rmb jpy yuan yen 元 块钱 块 圆 元钱 人民币 日元 円", "0.1": "毛 角"},
    "₩": {"1": "₩ krw won 韩元 ウォン"},
    "hk$": {"1": "hk$ hkd 港币 港元"},
    "nt$": {"1": "nt$ twd 新台币 台币"},
    # shares
    "%": {"1": "% percent per-cent pct pc 个百分点 パーセント", "10": "成 割"},
}
CURRENCIES = frozenset({"$", "€", "£", "¥", "₩", "hk$", "nt$"})
UNITS: dict[str, Unit] = {
    word.replace("-", " "): Unit(base, Decimal(size))
    for base, sizes in _MEASURES.items()
    for size, words in sizes.items()
    for word in words.split()
}
# 8折 and 八五折 say what is still paid: 20 % and 15 % off; 2割引 and 20%引 say what is taken off
PAID_SHARE, TAKEN_SHARES = "折", ("割引", "割引き", "割オフ", "割off")
# what may stand before the number
SIGNS = ("us$", "hk$", "nt$", "$", "€", "£", "¥", "₩", "usd", "eur", "gbp", "cny", "rmb", "jpy", "hkd", "twd")
