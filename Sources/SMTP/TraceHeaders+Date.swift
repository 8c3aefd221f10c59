import Mail

extension TraceHeaders {
    private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// A date as RFC 5322 §3.3 writes it, in UTC: `Sun, 22 Nov 2026 18:34:41 +0000`.
    ///
    /// - Parameter seconds: since 1970 in UTC; what is before 1970 or after 9999 is taken for the nearer end.
    package static func date(_ seconds: Int64) -> String {
        var bytes: [UInt8] = []
        append(date: seconds, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    static func append(date seconds: Int64, to bytes: inout [UInt8]) {
        let seconds = Int(min(max(seconds, 0), 253_402_300_799))
        let day = seconds / 86_400
        let time = seconds % 86_400
        let (year, month, dayOfMonth) = civil(day)
        bytes.append(utf8: days[day % 7])
        bytes.append(utf8: ", ")
        if dayOfMonth < 10 { bytes.append(digit(dayOfMonth)) } else { appendTwoDigits(dayOfMonth, to: &bytes) }
        bytes.append(ASCII.space)
        bytes.append(utf8: months[month - 1])
        bytes.append(ASCII.space)
        appendTwoDigits(year / 100, to: &bytes)
        appendTwoDigits(year % 100, to: &bytes)
        bytes.append(ASCII.space)
        appendTwoDigits(time / 3600, to: &bytes)
        bytes.append(ASCII.colon)
        appendTwoDigits(time / 60 % 60, to: &bytes)
        bytes.append(ASCII.colon)
        appendTwoDigits(time % 60, to: &bytes)
        bytes.append(utf8: " +0000")
    }

    private static func digit(_ number: Int) -> UInt8 { UInt8(0x30 + number) }

    private static func appendTwoDigits(_ number: Int, to bytes: inout [UInt8]) {
        bytes.append(digit(number / 10))
        bytes.append(digit(number % 10))
    }

    /// Days since 1970 as a date, by counting in eras of 400 years that begin in March, so that a leap day comes last.
    private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
