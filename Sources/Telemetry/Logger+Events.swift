package import Logging

extension Logger {
    /// What one event tells, in the order in which its line does.
    package typealias EventFields = KeyValuePairs<StaticString, EventValue>

    /// The value of an event's field.
    package enum EventValue: Sendable, CustomStringConvertible {
        case text(String)
        case number(Int)

        package var description: String {
            switch self {
            case .text(let text): text
            case .number(let number): String(number)
            }
        }
    }

    /// Logs what happens for each message: the fields go straight into the line, without a dictionary on their way. Keys
    /// are of letters, digits, "_", "." and "-", and none of `ts`, `level`, `logger`, `msg` and `cut`.
    package func event(_ level: Level, _ message: String, _ fields: @autoclosure () -> EventFields) {
        guard logLevel <= level else { return }
        if let own = handler as? LogfmtHandler { return own.write(level, message, fields()) }
        var metadata: Metadata = [:]
        for (key, value) in fields() { metadata["\(key)"] = .string(value.description) }
        log(level: level, "\(message)", metadata: metadata)
    }
}

extension Logger.EventFields {
    func have(_ key: String) -> Bool {
        contains { $0.key.utf8CodeUnitCount == key.utf8.count && "\($0.key)" == key }
    }
}
