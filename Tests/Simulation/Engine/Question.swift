import Mail

/// What was asked once, and is answered once; later answers come too late to matter.
final class Question<Answer> {
    private var then: ((Answer?) -> Void)?

    init(_ then: @escaping (Answer?) -> Void) { self.then = then }

    var isOver: Bool { then == nil }

    func answer(_ answer: Answer?) {
        let tell = then
        then = nil
        tell?(answer)
    }
}

/// Tells when a number of things have been done.
final class Countdown {
    private var missing: Int
    private let then: () -> Void

    init(_ count: Int, then: @escaping () -> Void) {
        missing = count
        self.then = then
        if count == 0 { then() }
    }

    func done() {
        missing -= 1
        if missing == 0 { then() }
    }
}

/// Names as frontends and storage nodes mint them.
enum MintedName {
    static func make(seconds: Int64, process: Int32, counter: UInt64, origin: String) -> String {
        MessageIdentity(
            seconds: seconds, micros: 0, process: process, counter: counter,
            random: UInt32(truncatingIfNeeded: counter),
            origin: origin
        ).text
    }

    /// The process that a name ends with.
    static func origin(of name: String) -> Substring { name.split(separator: ".").last ?? "" }

    /// The time that a name begins with.
    static func seconds(of name: String) -> Int64? {
        Int64(name.prefix { $0 != "." })
    }
}
