/// What happened, one line an event; kept only for a seed whose story is wanted.
final class Trace {
    let isOn: Bool
    private(set) var lines: [String] = []

    init(isOn: Bool) { self.isOn = isOn }

    func note(_ time: SimulatedTime, _ who: String, _ text: @autoclosure () -> String) {
        guard isOn else { return }
        let micros = String(1_000_000 + time % 1_000_000).dropFirst()
        lines.append("\(time / 1_000_000).\(micros) \(who): \(text())")
    }
}
