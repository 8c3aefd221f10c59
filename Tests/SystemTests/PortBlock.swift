import Foundation

/// Fifty ports on the loopback address that no other run takes meanwhile: a lock on the block's file keeps them, as
/// `scripts/mailcheck/ports.py` does.
final class PortBlock: Sendable {
    /// Below Linux' range for outgoing connections (32768 and up), so that none of those can sit on a port of ours.
    private static let range = 20000..<32700
    private static let size = 50

    let ports: [Int]
    private let lock: Int32

    struct NoFreePorts: Error {}

    init() throws {
        let folder = NSTemporaryDirectory() + "hauberk-ports"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let starts = stride(from: Self.range.lowerBound, to: Self.range.upperBound - Self.size, by: Self.size)
        for start in starts.shuffled() {
            let file = open("\(folder)/\(start)", O_CREAT | O_RDWR | O_CLOEXEC, 0o666)
            guard file >= 0 else { continue }
            if flock(file, LOCK_EX | LOCK_NB) == 0 {
                let free = (start..<start + Self.size).filter(Self.isFree)
                if free.count > Self.size / 2 {
                    ports = free
                    lock = file
                    return
                }
            }
            close(file)
        }
        throw NoFreePorts()
    }

    deinit { close(lock) }

    private static func isFree(_ port: Int) -> Bool {
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var yes: Int32 = 1
        setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return withLoopback(port) { bind(probe, $0, $1) } == 0
    }
}

/// Calls `body` with 127.0.0.1 and a port as the system's calls want them.
func withLoopback<Result>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
