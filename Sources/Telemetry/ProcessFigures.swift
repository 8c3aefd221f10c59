import Glibc

/// What the process costs the machine, under the names that Prometheus' client libraries share.
struct ProcessFigures {
    var userSeconds: Double
    var systemSeconds: Double
    var residentBytes: Int
    var openFiles: Int

    static func now() -> ProcessFigures {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return ProcessFigures(
            userSeconds: seconds(usage.ru_utime), systemSeconds: seconds(usage.ru_stime),
            residentBytes: residentPages() * sysconf(Int32(_SC_PAGESIZE)), openFiles: countOpenFiles())
    }

    func render(into text: inout PrometheusText) {
        let figures: [(String, MetricKind, String, String)] = [
            (
                "process_cpu_seconds_total", .counter, "User and system CPU time",
                PrometheusText.number(userSeconds + systemSeconds)
            ),
            (
                "process_cpu_user_seconds_total", .counter, "User CPU time", PrometheusText.number(userSeconds)
            ),
            ("process_resident_memory_bytes", .gauge, "Resident memory", "\(residentBytes)"),
            ("process_open_fds", .gauge, "Open file descriptors", "\(openFiles)"),
        ]
        for (name, kind, help, value) in figures {
            text.family(name, kind: kind, help: help)
            text.sample(name, labels: "", value: value)
        }
    }

    private static func seconds(_ time: timeval) -> Double {
        Double(time.tv_sec) + Double(time.tv_usec) / 1e6
    }

    /// The second field of `/proc/self/statm` (proc(5)).
    private static func residentPages() -> Int {
        let file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return 0 }
        let fields = String(decoding: bytes[..<count], as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? Int(fields[1]) ?? 0 : 0
    }

    private static func countOpenFiles() -> Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            if entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
        }
        return max(0, count - 1)  // without the one that reads the folder
    }
}
