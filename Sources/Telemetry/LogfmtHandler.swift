import Glibc
package import Logging

/// swift-log's backend: one event, one line, and no bytes of a client's can make a second one.
package struct LogfmtHandler: LogHandler {
    package var metadata: Logger.Metadata = [:] {
        didSet { common = Self.sorted(metadata) }
    }
    package var metadataProvider: Logger.MetadataProvider?

    private typealias Field = (key: String, text: String)

    private let label: String
    private let sink: LogSink
    private var ownLevel: Logger.Level?
    /// The logger's metadata as its lines tell it.
    private var common: [Field] = []

    package init(label: String, sink: LogSink) {
        self.label = label
        self.sink = sink
    }

    /// The sink's level, until this logger is given one of its own.
    package var logLevel: Logger.Level {
        get { ownLevel ?? sink.level }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        write { fill(&$0, event, at: .now()) }
    }

    /// The whole line, with all metadata sorted by key. What is nearer to the event wins.
    func fill(_ line: inout LogLine, _ event: LogEvent, at time: UTCTime) {
        begin(&line, event.level, event.message.description, at: time)
        if let error = event.error { line.add("error", "\(error)") }
        for (key, text) in fields(event.metadata) {
            let isTaken = LogLine.isReserved(key) || (key == "error" && event.error != nil)
            line.add(isTaken ? "\(key)_" : key, text)
        }
    }

    /// The same for an event whose fields are known by name: the logger's come first, then these as they are given.
    func fill(
        _ line: inout LogLine, _ level: Logger.Level, _ message: String, _ fields: Logger.EventFields, at time: UTCTime
    ) {
        begin(&line, level, message, at: time)
        for (key, text) in provided() where !fields.have(key) {
            line.add(LogLine.isReserved(key) ? "\(key)_" : key, text)
        }
        for (key, value) in fields { line.add(key, value.description) }
    }

    func write(_ level: Logger.Level, _ message: String, _ fields: Logger.EventFields) {
        write { fill(&$0, level, message, fields, at: .now()) }
    }

    private func write(_ fill: (inout LogLine) -> Void) {
        LogLine.with(format: sink.format, fill: fill) { sink.write($0) }
    }

    private func begin(_ line: inout LogLine, _ level: Logger.Level, _ message: String, at time: UTCTime) {
        line.add("ts", time.text)
        line.add("level", level.rawValue)
        line.add("logger", label)
        line.add("msg", message)
    }

    private func fields(_ own: Logger.Metadata?) -> [Field] {
        guard let own, !own.isEmpty else { return provided() }
        let others = provided().filter { own[$0.key] == nil }
        return others.isEmpty ? Self.sorted(own) : (Self.sorted(own) + others).sorted { $0.key < $1.key }
    }

    /// The logger's metadata, and the provider's besides it.
    private func provided() -> [Field] {
        guard let provided = metadataProvider?.get(), !provided.isEmpty else { return common }
        return (common + Self.sorted(provided.filter { metadata[$0.key] == nil })).sorted { $0.key < $1.key }
    }

    private static func sorted(_ metadata: Logger.Metadata) -> [Field] {
        metadata.map { (key: $0.key, text: $0.value.description) }.sorted { $0.key < $1.key }
    }
}
