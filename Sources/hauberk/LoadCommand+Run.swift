import ArgumentParser
import Foundation
import Load

/// Runs a load with progress on a terminal, prints its summary, and ends with status 1 if anything went wrong.
struct LoadReporter {
    let unit: String
    let amount: LoadAmount
    let output: LoadOutputOptions

    func run(_ tally: LoadTally, _ work: @escaping @Sendable () async throws -> Void) async throws {
        let progress = startProgress(tally)
        defer { progress?.cancel() }
        try await work()
        await stop(progress)
        let summary = LoadSummary(tally.current, unit: unit, count: amount.count)
        print(try output.json ? json(summary) : summary.text)
        if !summary.isGood { throw ExitCode(1) }
    }

    private func startProgress(_ tally: LoadTally) -> Task<Void, any Error>? {
        guard !output.quiet, isatty(STDERR_FILENO) == 1 else { return nil }
        let (amount, unit) = (amount, unit)
        return Task {
            var progress = LoadProgress(count: amount.count, duration: amount.duration, unit: unit)
            let clock = ContinuousClock()
            let begin = clock.now
            while true {
                try await Task.sleep(for: .milliseconds(250))
                let seconds = (clock.now - begin) / Duration.seconds(1)
                let line = "\r" + progress.line(tally.current, seconds: seconds) + "\u{1B}[K"
                FileHandle.standardError.write(Data(line.utf8))
            }
        }
    }

    private func stop(_ progress: Task<Void, any Error>?) async {
        guard let progress else { return }
        progress.cancel()
        _ = await progress.result
        FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
    }

    private func json(_ summary: LoadSummary) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        return String(decoding: try encoder.encode(summary), as: UTF8.self)
    }
}
