import Glibc
import Logging
import Synchronization
import Testing

@testable import Telemetry

@Suite("Log lines")
struct LogfmtHandlerTests {
    private func line(
        _ message: Logger.Message, _ metadata: Logger.Metadata = [:], error: (any Error)? = nil,
        format: LogFormat = .logfmt
    ) -> String {
        var handler = LogfmtHandler(label: "smtp", sink: LogSink(format: format, descriptor: -1))
        handler[metadataKey: "conn"] = "c1"
        let event = LogEvent(
            level: .info, message: message, error: error, metadata: metadata, source: nil, file: #fileID,
            function: #function, line: #line)
        return LogLine.with(format: format) {
            handler.fill(&$0, event, at: Self.time)
        } use: {
            String(decoding: $0, as: UTF8.self)
        }
    }

    private static let time = UTCTime(seconds: 1_709_164_799, micros: 42)

    @Test("A line has time, level, logger, message and the sorted metadata")
    func plain() {
        #expect(
            line("message taken", ["id": "1.M2", "size": "12"])
                == "ts=2024-02-28T23:59:59.000042Z level=info logger=smtp msg=\"message taken\" conn=c1 id=1.M2 size=12\n"
        )
    }

    @Test("The event's metadata goes before the logger's")
    func nearerWins() {
        #expect(line("m", ["conn": "c2"]).hasSuffix(" conn=c2\n"))
    }

    @Test("An event's fields stand behind the logger's, in the order in which they are given, and go before them")
    func eventFields() {
        func line(_ fields: Logger.EventFields) -> String {
            var handler = LogfmtHandler(label: "smtp", sink: LogSink(descriptor: -1))
            handler[metadataKey: "conn"] = "c1"
            handler[metadataKey: "client"] = "192.0.2.1"
            return LogLine.with(format: .logfmt) {
                handler.fill(&$0, .info, "message", fields, at: Self.time)
            } use: {
                String(decoding: $0, as: UTF8.self)
            }
        }
        let begin = "ts=2024-02-28T23:59:59.000042Z level=info logger=smtp msg=message client=192.0.2.1"
        let both: Logger.EventFields = ["to": .text("<a b>\n"), "octets": .number(12)]
        #expect(line(both) == begin + " conn=c1 to=\"<a b>\\n\" octets=12\n")
        #expect(line(["conn": .text("c2")]) == begin + " conn=c2\n")
    }

    @Test("Another backend has an event's fields as metadata")
    func eventsElsewhere() {
        let events = Recorder()
        var logger = Logger(label: "smtp") { _ in events }
        logger.logLevel = .info
        logger.event(.info, "message", ["octets": .number(12), "to": .text("a")])
        logger.event(.debug, "not told", [:])
        #expect(events.lines.withLock { $0 } == ["message octets=12 to=a"])
    }

    @Test("No bytes of a client's make a second line or another field")
    func forging() {
        let cases = [
            ("a\nts=forged", #""a\nts=forged""#), ("a\r\nb", #""a\r\nb""#), ("\" level=error", #""\" level=error""#),
            ("back\\slash", #""back\\slash""#), ("\u{0}\u{1B}[2J\u{7F}", #""\u0000\u001b[2J\u007f""#),
            ("\u{85}\u{2028}\u{202E}", #""\u0085\u2028\u202e""#), ("", "\"\""), ("k=v", "\"k=v\""), ("ä", "\"ä\""),
        ]
        for (value, shown) in cases {
            let text = line("m", ["from": "\(value)"])
            #expect(text.hasSuffix(" from=\(shown)\n"))
            #expect(text.utf8.count { $0 == 0x0A || $0 == 0x0D } == 1)
        }
    }

    @Test("Metadata cannot take the handler's own keys, and keys are made fit")
    func keys() {
        #expect(line("m", ["level": "fatal", "a b": "1"]).hasSuffix(" a_b=1 conn=c1 level_=fatal\n"))
    }

    @Test("An error in the metadata is called so, unless the event has an error of its own")
    func errors() {
        #expect(line("m", ["error": "disk full"]).hasSuffix(" conn=c1 error=\"disk full\"\n"))
        #expect(
            line("m", ["error": "b"], error: CancellationError())
                .hasSuffix(" error=CancellationError() conn=c1 error_=b\n"))
    }

    @Test("JSON lines are one object, escaped by RFC 8259 §7")
    func json() {
        #expect(
            line("a \"b\"\n", ["id": "x"], format: .json)
                == #"{"ts":"2024-02-28T23:59:59.000042Z","level":"info","logger":"smtp","msg":"a \"b\"\n","conn":"c1","id":"x"}"#
                + "\n")
    }

    @Test("A line never passes PIPE_BUF, and says that it was cut", arguments: LogFormat.allCases)
    func bounded(format: LogFormat) {
        let long = String(repeating: "\u{1}ä", count: 3000)
        let metadata = Logger.Metadata(
            uniqueKeysWithValues: (0..<10).map { ("key\($0)", .string(long)) })
        let text = line("\(long)", metadata, format: format)
        #expect(text.utf8.count <= LogSink.lineBytesMax)
        #expect(text.hasSuffix(format == .json ? ",\"cut\":true}\n" : " cut=true\n"))
        #expect(text.contains("conn"))
    }

    @Test("The level changes for every logger at once, unless one has its own")
    func level() {
        let sink = LogSink(level: .info, descriptor: -1)
        let first = Logger(label: "a") { sink.handler(label: $0) }
        var second = Logger(label: "b") { sink.handler(label: $0) }
        second.logLevel = .error
        sink.level = .debug
        #expect(first.logLevel == .debug)
        #expect(second.logLevel == .error)
    }

    @Test("A reader that takes nothing loses lines, and nobody waits for it")
    func stalledReader() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let sink = LogSink(level: .info, descriptor: ends[1])
        let logger = Logger(label: "x") { sink.handler(label: $0) }
        let text = String(repeating: "x", count: 1000)
        // More than any pipe holds by itself.
        for _ in 0..<2000 { logger.info("\(text)") }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        #expect(read(ends[0], &bytes, bytes.count) > 10_000)
        logger.info("again")
        let count = read(ends[0], &bytes, bytes.count)
        #expect(String(decoding: bytes[..<max(0, count)], as: UTF8.self).contains("msg=again"))
    }

    @Test("Each event is one write to the descriptor")
    func writes() throws {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &ends) == 0)
        defer { ends.forEach { close($0) } }
        let sink = LogSink(level: .info, descriptor: ends[0])
        let logger = Logger(label: "a") { sink.handler(label: $0) }
        logger.info("one")
        logger.debug("not written")
        logger.info("two")
        let lines = (0..<2).map { _ in
            var bytes = [UInt8](repeating: 0, count: 4096)
            return String(decoding: bytes[..<max(0, recv(ends[1], &bytes, bytes.count, 0))], as: UTF8.self)
        }
        #expect(lines[0].hasSuffix("msg=one\n"))
        #expect(lines[1].hasSuffix("msg=two\n"))
    }

    @Test(
        "RFC 3339: days, leap years and centuries",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000000Z"), (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.000000Z"), (4_107_542_399, "2100-02-28T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"), (1_798_761_599, "2026-12-31T23:59:59.000000Z"),
        ])
    func time(seconds: Int64, text: String) {
        #expect(UTCTime(seconds: seconds, micros: 0).text == text)
    }
}

/// Keeps events as text.
private final class Recorder: LogHandler {
    let lines = Mutex<[String]>([])
    private let level = Mutex(Logger.Level.info)

    var metadata: Logger.Metadata {
        get { [:] }
        set { _ = newValue }
    }
    var logLevel: Logger.Level {
        get { level.withLock { $0 } }
        set { level.withLock { $0 = newValue } }
    }
    subscript(metadataKey _: String) -> Logger.MetadataValue? {
        get { nil }
        set { _ = newValue }
    }

    func log(event: LogEvent) {
        let fields = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }
        lines.withLock { $0.append("\(event.message)" + fields.joined()) }
    }
}
