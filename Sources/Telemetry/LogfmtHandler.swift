import Glibc
package import Logging

/// swift-log's backend: one event, one line, and no bytes of a client's can make a second one.
package struct LogfmtHandler: LogHandler {
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let sink: LogSink
    private var ownLevel: Logger.Level?

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
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        sink.write(line(event, seconds: Int64(now.tv_sec), micros: Int(now.tv_nsec / 1000)))
    }

    /// The whole line with its line end, at most `LogSink.lineBytesMax` bytes.
    func line(_ event: LogEvent, seconds: Int64, micros: Int) -> [UInt8] {
        var line = LogLine(format: sink.format)
        line.add("ts", UTCTime(seconds: seconds, micros: micros).text)
        line.add("level", event.level.rawValue)
        line.add("logger", label)
        line.add("msg", event.message.description)
        if let error = event.error { line.add("error", "\(error)") }
        for (key, text) in fields(event.metadata) {
            let isTaken = LogLine.isReserved(key) || (key == "error" && event.error != nil)
            line.add(isTaken ? "\(key)_" : key, text)
        }
        return line.finished()
    }

    /// All metadata, sorted by key. What is nearer to the event wins.
    private func fields(_ own: Logger.Metadata?) -> [(key: String, text: String)] {
        let own = own ?? [:]
        var fields: [(key: String, text: String)] = []
        fields.reserveCapacity(own.count + metadata.count)
        for (key, value) in own { fields.append((key, value.description)) }
        for (key, value) in metadata where own[key] == nil { fields.append((key, value.description)) }
        if let provided = metadataProvider?.get() {
            for (key, value) in provided where own[key] == nil && metadata[key] == nil {
                fields.append((key, value.description))
            }
        }
        fields.sort { $0.key < $1.key }
        return fields
    }
}
