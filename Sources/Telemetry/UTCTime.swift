import Glibc

/// A moment in UTC as RFC 3339 writes it, with microseconds.
struct UTCTime {
    let seconds: Int64
    let micros: Int

    static func now() -> UTCTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return UTCTime(seconds: Int64(now.tv_sec), micros: Int(now.tv_nsec / 1000))
    }

    /// `2026-11-22T18:38:24.000123Z`, for the years 0 to 9999.
    var text: String {
        let day = Self.floorDivide(seconds, 86_400)
        let second = Int(seconds - day * 86_400)
        let (year, month, dayOfMonth) = Self.date(day: day)
        let form: StaticString = "0000-00-00T00:00:00.000000Z"
        return String(unsafeUninitializedCapacity: form.utf8CodeUnitCount) { bytes in
            bytes.baseAddress?.update(from: form.utf8Start, count: form.utf8CodeUnitCount)
            Self.write(year, endingBefore: 4, in: bytes)
            Self.write(month, endingBefore: 7, in: bytes)
            Self.write(dayOfMonth, endingBefore: 10, in: bytes)
            Self.write(second / 3600, endingBefore: 13, in: bytes)
            Self.write(second / 60 % 60, endingBefore: 16, in: bytes)
            Self.write(second % 60, endingBefore: 19, in: bytes)
            Self.write(micros, endingBefore: 26, in: bytes)
            return form.utf8CodeUnitCount
        }
    }

    /// The Gregorian date of a day counted from 1970-01-01. Years are reckoned from March, so that the leap day is the
    /// year's last: then a month's first day is `(153 × month + 2) / 5` (Hinnant, "chrono-compatible low-level date
    /// algorithms").
    private static func date(day: Int64) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = Int(shifted - era * 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + Int(era) * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func floorDivide(_ number: Int64, _ divisor: Int64) -> Int64 {
        let quotient = number / divisor
        return number % divisor < 0 ? quotient - 1 : quotient
    }

    /// Writes a number's digits over the zeros that are there.
    private static func write(_ number: Int, endingBefore end: Int, in bytes: UnsafeMutableBufferPointer<UInt8>) {
        var rest = number
        var at = end
        while rest > 0, at > 0 {
            at -= 1
            bytes[at] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
