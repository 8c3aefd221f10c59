import Mail

/// What a scalar in the configuration may be: how to read it, how to write it, and how to tell a person.
struct ConfigurationKind<Value> {
    /// For the table of keys: `duration`, `size`, `integer`.
    let type: String
    /// What is allowed, as the end of the sentence "expected …".
    let allowed: String
    let parse: (String) -> Value?
    let print: (Value) -> String
    /// `${NAME}` stays as it is, and is replaced for each process later.
    var keepsName = false

    /// The same as `kind`, but the key may be left out, and then means what `absent` says.
    static func optional<Wrapped>(_ kind: ConfigurationKind<Wrapped>, _ absent: String) -> Self
    where Value == Wrapped? {
        Self(
            type: kind.type, allowed: kind.allowed, parse: { text in kind.parse(text).map { .some($0) } },
            print: { $0.map(kind.print) ?? absent }, keepsName: kind.keepsName)
    }
}

extension ConfigurationKind where Value == Int {
    static func integer(_ range: ClosedRange<Int>) -> Self {
        Self(
            type: "integer", allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)",
            parse: { Int($0).flatMap { range.contains($0) ? $0 : nil } }, print: { String($0) })
    }

    static func size(_ range: ClosedRange<Int>) -> Self {
        Self(
            type: "size",
            allowed: "a size such as 64KiB, 50MiB or 2GiB, from \(ByteSize.text(range.lowerBound)) "
                + "to \(ByteSize.text(range.upperBound))",
            parse: { ByteSize.bytes($0).flatMap { range.contains($0) ? $0 : nil } }, print: ByteSize.text)
    }
}

extension ConfigurationKind where Value == Bool {
    static var bool: Self {
        Self(
            type: "true or false", allowed: "true or false", parse: { ["true": true, "false": false][$0] },
            print: { String($0) })
    }
}

extension ConfigurationKind where Value == Duration {
    static func duration(_ range: ClosedRange<Duration>) -> Self {
        Self(
            type: "duration",
            allowed: "a time such as 500ms, 30s, 5m, 36h or 7d, from \(DurationText.text(range.lowerBound)) "
                + "to \(DurationText.text(range.upperBound))",
            parse: { DurationText.duration($0).flatMap { range.contains($0) ? $0 : nil } }, print: DurationText.text)
    }
}

extension ConfigurationKind where Value == String {
    /// One epoch of the ring's history, read by `RingHistory`.
    static var epoch: Self {
        Self(
            type: "text", allowed: "names of nodes such as store-1, store-2=3@east or +store-4", parse: { $0 },
            print: { $0 })
    }

    static var text: Self {
        Self(
            type: "text", allowed: "1 to 256 bytes without control characters",
            parse: { text in
                (1...256).contains(text.utf8.count) && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } ? text : nil
            }, print: { $0 })
    }

    /// The name of a cluster, a process or a zone: it becomes part of file names and of message names.
    static var name: Self {
        Self(
            type: "name",
            allowed: "a name of 1 to 32 letters, digits, '-', '_' and '.', beginning with a letter or digit",
            parse: { isName($0) ? $0 : nil }, print: { $0 })
    }

    static var path: Self {
        Self(
            type: "path", allowed: "a path, absolute or relative to ${HAUBERK_HOME}",
            parse: { (1...4096).contains($0.utf8.count) ? $0 : nil }, print: { $0 })
    }

    /// A path with `${NAME}` in it: one for each process.
    static var pathOfProcess: Self {
        var kind = path
        kind.keepsName = true
        return kind
    }

    static var domain: Self {
        Self(
            type: "domain", allowed: "a domain name such as example.test",
            parse: { isDomain($0) ? $0.lowercased() : nil }, print: { $0 })
    }

    private static func isName(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...32).contains(bytes.count), let first = bytes.first, isAlphanumeric(first) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isDomain(_ text: String) -> Bool {
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 >= 0x80 }
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

extension ConfigurationKind where Value == Character? {
    static var delimiter: Self {
        Self(
            type: "character or none", allowed: "one of + - = _ or none",
            parse: { text in
                if text == "none" { return .some(nil) }
                return text.count == 1 && "+-=_".contains(text) ? .some(text.first) : nil
            },
            print: { $0.map { String($0) } ?? "none" })
    }
}

extension ConfigurationKind where Value == Endpoint {
    static var endpoint: Self {
        Self(
            type: "address", allowed: "an address such as 127.0.0.1:2525, [::1]:2525, host.example:25 or unix:/path",
            parse: { Endpoint($0) }, print: \.description)
    }
}

extension ConfigurationKind where Value == AddressRange {
    static var addressRange: Self {
        Self(
            type: "address range", allowed: "an address range such as 10.1.0.0/16, 192.0.2.7 or 2001:db8::/32",
            parse: { AddressRange($0) }, print: \.description)
    }
}

extension ConfigurationKind where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    static var choice: Self { choice(of: Array(Value.allCases)) }

    /// Some of the cases.
    static func choice(of values: [Value]) -> Self {
        let names = values.map(\.rawValue)
        return Self(
            type: names.joined(separator: ", "), allowed: "one of: \(names.joined(separator: ", "))",
            parse: { names.contains($0) ? Value(rawValue: $0) : nil }, print: \.rawValue)
    }
}
