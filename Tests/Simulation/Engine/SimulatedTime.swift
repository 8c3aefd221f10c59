/// Simulated time since the start, in microseconds; also a span of it.
typealias SimulatedTime = Int64

extension SimulatedTime {
    static func milliseconds(_ count: Int64) -> SimulatedTime { count * 1_000 }
    static func seconds(_ count: Int64) -> SimulatedTime { count * 1_000_000 }
    static func days(_ count: Int64) -> SimulatedTime { count * 86_400 * 1_000_000 }
}
