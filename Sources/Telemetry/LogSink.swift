import Glibc
package import Logging
import Synchronization

/// How a log line is written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// `ts=… level=… logger=… msg=… key=value …`
    case logfmt
    /// One JSON object a line.
    case json
}

/// Where this process' log lines go, from which level on, and in which form. The level can change at any time.
package final class LogSink: Sendable {
    /// A line of at most PIPE_BUF bytes reaches a pipe whole (POSIX write()), also beside other processes' lines.
    package static let lineBytesMax = 4096

    package let format: LogFormat
    private let descriptor: Int32
    /// Whether whoever reads it can make a write wait: not a file.
    private let canWait: Bool
    private let levelIndex: Atomic<Int>

    /// - Parameter descriptor: an open file; stderr if not given. It stays the caller's to close.
    package init(level: Logger.Level = .info, format: LogFormat = .logfmt, descriptor: Int32 = STDERR_FILENO) {
        self.format = format
        self.descriptor = descriptor
        var status = stat()
        canWait = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
        levelIndex = Atomic(Self.index(of: level))
    }

    /// Events below this level are not written, unless their logger has a level of its own.
    package var level: Logger.Level {
        get { Logger.Level.allCases[levelIndex.load(ordering: .relaxed)] }
        set { levelIndex.store(Self.index(of: newValue), ordering: .relaxed) }
    }

    /// For `LoggingSystem.bootstrap`.
    package func handler(label: String) -> LogfmtHandler {
        LogfmtHandler(label: label, sink: self)
    }

    /// Writes one line by one write(2). A log that takes no more bytes loses lines; it does not stop the mail.
    func write(_ line: UnsafeRawBufferPointer) {
        var rest = line[...]
        while !rest.isEmpty {
            guard takesMore else { return }
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let written = Glibc.write(descriptor, piece.baseAddress, piece.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }

    /// A pipe that does takes at least PIPE_BUF bytes at once (POSIX poll(), write()).
    private var takesMore: Bool {
        guard canWait else { return true }
        var wanted = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        // Where it cannot be asked, the write tells why.
        return poll(&wanted, 1, 0) != 0
    }

    private static func index(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}
