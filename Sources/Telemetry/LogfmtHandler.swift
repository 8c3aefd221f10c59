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
        for (key, value) in fields(event.metadata) {
            let isTaken = LogLine.isReserved(key) || (key == "error" && event.error != nil)
            line.add(isTaken ? "\(key)_" : key, value.description)
        }
        return line.finished()
    }

    /// All metadata, sorted by key. What is nearer to the event wins.
    private func fields(_ own: Logger.Metadata?) -> [(key: String, value: Logger.MetadataValue)] {
        let own = own ?? [:]
        var fields = Array(own)
        fields.reserveCapacity(own.count + metadata.count)
        for field in metadata where own[field.key] == nil { fields.append(field) }
        if let provided = metadataProvider?.get() {
            for field in provided where own[field.key] == nil && metadata[field.key] == nil { fields.append(field) }
        }
        fields.sort { $0.key < $1.key }
        return fields
    }
}
