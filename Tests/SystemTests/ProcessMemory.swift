import Foundation
import Testing

/// What a process has held in memory at most, as proc(5) says it.
struct ProcessMemory {
    let folder: String

    init(_ process: Int32) { folder = "/proc/\(process)" }

    /// Forgets the peak so far. Returns what is held now, in KiB.
    func resetPeak() throws -> Int {
        try Data("5".utf8).write(to: URL(fileURLWithPath: folder + "/clear_refs"))
        return try peakKilobytes()
    }

    func peakKilobytes() throws -> Int {
        let status = try String(contentsOfFile: folder + "/status", encoding: .utf8)
        return try #require(status.firstMatch(of: #/VmHWM:\s+(\d+)/#).flatMap { Int($0.1) })
    }
}
