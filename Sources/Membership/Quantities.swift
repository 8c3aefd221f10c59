/// A time as an operator writes it: `500ms`, `30s`, `5m`, `36h`, `7d`.
package enum DurationText {
    private static let units: [(suffix: String, milliseconds: Int64)] = [
        ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
    ]

    /// Nil without a unit, for a negative time, and for one beyond about 300 million years.
    package static func duration(_ text: String) -> Duration? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let unit = units.first(where: { $0.suffix == text.dropFirst(digits.count) }), let count = Int64(digits)
        else { return nil }
        let (milliseconds, overflow) = count.multipliedReportingOverflow(by: unit.milliseconds)
        return overflow ? nil : .milliseconds(milliseconds)
    }

    /// In the greatest unit that leaves no rest, so that reading it back gives the same time (to a millisecond).
    package static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1_000 + attoseconds / 1_000_000_000_000_000
        guard milliseconds != 0 else { return "0s" }
        let unit = units.last { milliseconds % $0.milliseconds == 0 } ?? units[0]
        return "\(milliseconds / unit.milliseconds)\(unit.suffix)"
    }
}

/// A number of octets as an operator writes it: `512`, `64KiB`, `50MiB`, `2GiB`, `1TiB`.
package enum ByteSize {
    private static let units: [(suffix: String, shift: Int)] = [
        ("", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40),
    ]

    /// Nil for an unknown unit and for what does not fit into 63 bits.
    package static func bytes(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let unit = units.first(where: { $0.suffix == text.dropFirst(digits.count) }), let count = Int(digits)
        else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << unit.shift)
        return overflow ? nil : bytes
    }

    /// In the greatest unit that leaves no rest.
    package static func text(_ bytes: Int) -> String {
        guard bytes != 0 else { return "0" }
        let unit = units.last { bytes % (1 << $0.shift) == 0 } ?? units[0]
        return "\(bytes >> unit.shift)\(unit.suffix)"
    }
}
