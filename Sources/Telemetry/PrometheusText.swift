/// Prometheus' text exposition format 0.0.4: how names, label values, numbers and lines are written.
struct PrometheusText {
    private(set) var text = ""

    mutating func family(_ name: String, kind: MetricKind, help: String) {
        text += "# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n"
    }

    mutating func sample(_ name: String, labels: String, value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// A metric's name: `[a-zA-Z_:][a-zA-Z0-9_:]*`; what cannot stand there becomes "_".
    static func metricName(_ label: String) -> String {
        sanitised(label, allowingColon: true)
    }

    /// `name="value",…` without the braces, in the order given. `le` is the histogram's own; a name that comes twice
    /// counts once.
    static func labels(_ dimensions: [(String, String)]) -> String {
        var names: Set<String> = []
        var parts: [String] = []
        for (key, value) in dimensions {
            let plain = sanitised(key, allowingColon: false)
            let name = plain == "le" ? "exported_le" : plain
            guard names.insert(name).inserted else { continue }
            parts.append("\(name)=\"\(escaped(value, quotes: true))\"")
        }
        return parts.joined(separator: ",")
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    private static func sanitised(_ name: String, allowingColon: Bool) -> String {
        var result = ""
        for byte in name.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ":") where allowingColon:
                result += ":"
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if result.isEmpty { result = "_" }
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += "_"
            }
        }
        return result.isEmpty ? "_" : result
    }

    private static func escaped(_ value: String, quotes: Bool) -> String {
        var result = ""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
