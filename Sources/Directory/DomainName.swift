import Foundation

/// A domain name in the form that is stored and compared: lower case, and A-labels (RFC 5890 §2.3.2.1), so that
/// `bücher.test` and `xn--bcher-kva.test` are one domain.
package enum DomainName {
    /// Without a check of what IDNA allows in a label: a name that no registry gives out is looked up in vain.
    package static func ascii(_ name: String) -> String {
        if name.utf8.allSatisfy({ $0 < 0x80 }) { return name.lowercased() }
        let composed = name.lowercased().precomposedStringWithCanonicalMapping
        return composed.split(separator: ".", omittingEmptySubsequences: false).map(label).joined(separator: ".")
    }

    private static func label(_ label: Substring) -> String {
        if label.utf8.allSatisfy({ $0 < 0x80 }) { return String(label) }
        return "xn--" + Punycode.encode(label.unicodeScalars.map(\.value))
    }

    /// Letters, digits, hyphens and underscores, in labels of 1 to 63 octets (RFC 1035 §2.3.4).
    static func isValid(_ name: String) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy(isAllowed)
        }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// RFC 3492, encoding only, with the parameters of its §5.
private enum Punycode {
    private static let (base, tMin, tMax, skew, damp): (UInt32, UInt32, UInt32, UInt32, UInt32) = (36, 1, 26, 38, 700)

    static func encode(_ scalars: [UInt32]) -> String {
        var text = String(String.UnicodeScalarView(scalars.filter { $0 < 0x80 }.compactMap { Unicode.Scalar($0) }))
        let basic = UInt32(text.utf8.count)
        if basic > 0 { text += "-" }
        var (handled, next, delta, bias) = (basic, UInt32(0x80), UInt32(0), UInt32(72))
        while handled < scalars.count, let smallest = scalars.filter({ $0 >= next }).min() {
            delta &+= (smallest - next) &* (handled + 1)
            next = smallest
            for scalar in scalars {
                if scalar < next { delta &+= 1 }
                guard scalar == next else { continue }
                text += variableLength(delta, bias)
                bias = adapted(delta, handled + 1, isFirst: handled == basic)
                delta = 0
                handled += 1
            }
            delta &+= 1
            next += 1
        }
        return text
    }

    private static func variableLength(_ delta: UInt32, _ bias: UInt32) -> String {
        var text = ""
        var (rest, place) = (delta, base)
        while true {
            let threshold = place <= bias ? tMin : min(tMax, max(tMin, place - bias))
            guard rest >= threshold else { return text + digit(rest) }
            text += digit(threshold + (rest - threshold) % (base - threshold))
            rest = (rest - threshold) / (base - threshold)
            place += base
        }
    }

    private static func adapted(_ delta: UInt32, _ points: UInt32, isFirst: Bool) -> UInt32 {
        var delta = isFirst ? delta / damp : delta / 2
        delta += delta / points
        var steps: UInt32 = 0
        while delta > (base - tMin) * tMax / 2 {
            delta /= base - tMin
            steps += base
        }
        return steps + (base - tMin + 1) * delta / (delta + skew)
    }

    private static func digit(_ value: UInt32) -> String {
        String(Unicode.Scalar(UInt8(value < 26 ? value + 97 : value + 22)))
    }
}
