import Cluster

/// A process, or a client: it lives, hangs, dies and comes back, and has a clock of its own.
class SimulatedProcess {
    let name: String
    /// Its place in the network.
    let place: Int
    unowned let site: Site
    unowned let world: World
    private(set) var isUp = true
    private(set) var isHanging = false
    /// How many times it has started; what an earlier life wanted does not happen.
    private(set) var life = 0
    /// What is to be done when it goes on.
    private var backlog: [() -> Void] = []
    /// How wrong its clock is.
    var clockError: SimulatedTime = 0
    /// Until when a storage node is taken for lost; the circuit breaker of the hops.
    private var suspectUntil: [Int: SimulatedTime] = [:]
    private var minted: UInt64 = 0
    /// The members as it was told of them.
    private(set) var transition: Transition

    /// How long one that did not answer is left alone.
    static let suspicion = SimulatedTime.seconds(5)

    init(_ name: String, place: Int, site: Site) {
        self.name = name
        self.place = place
        self.site = site
        world = site.world
        transition = site.transition
    }

    /// Reads the configuration again.
    func learnEpoch() { transition = site.transition }

    // MARK: life

    /// Does it later, unless the process has died by then.
    func after(_ delay: SimulatedTime, _ work: @escaping () -> Void) {
        let life = life
        world.queue.add(after: delay) { [self] in
            if life == self.life { arrive(work) }
        }
    }

    /// Something comes to it from outside. Nobody hears what comes to a dead one.
    func arrive(_ work: @escaping () -> Void) {
        guard isUp else { return }
        if isHanging { backlog.append(work) } else { work() }
    }

    func note(_ text: @autoclosure () -> String) { world.trace.note(world.now, name, text()) }

    /// Dies at once. It starts again by itself after a while.
    func crash(_ why: String, downFor delay: SimulatedTime) {
        guard isUp else { return }
        note("dies: \(why)")
        world.tally.crashes += 1
        life += 1
        isUp = false
        isHanging = false
        backlog = []
        suspectUntil = [:]
        died()
        let life = life
        world.queue.add(after: delay) { [self] in
            if life == self.life { start() }
        }
    }

    func start() {
        guard !isUp else { return }
        note("starts")
        life += 1
        isUp = true
        learnEpoch()
        started()
    }

    func hang(for time: SimulatedTime) {
        guard isUp, !isHanging else { return }
        note("hangs")
        isHanging = true
        let life = life
        world.queue.add(after: time) { [self] in
            if life == self.life { goOn() }
        }
    }

    func goOn() {
        guard isHanging else { return }
        note("goes on")
        isHanging = false
        let work = backlog
        backlog = []
        let life = life
        for one in work {
            world.queue.add(after: 0) { [self] in
                if life == self.life { arrive(one) }
            }
        }
    }

    /// Its memory is gone.
    func died() {}
    func started() {}

    /// Does one step of its work after `delay`; it may die just before it or just after.
    func step(_ step: Step, after delay: SimulatedTime, _ work: @escaping () -> Void) {
        after(delay) { [self] in
            if dies(step, "before", \.crashesBefore) { return }
            let life = life
            work()
            if life == self.life { _ = dies(step, "after", \.crashesAfter) }
        }
    }

    private func dies(_ step: Step, _ when: String, _ count: WritableKeyPath<Tally, [Int]>) -> Bool {
        guard world.random.chance(world.crashChance * step.danger) else { return false }
        world.tally[keyPath: count][step.rawValue] += 1
        die("\(when) \(step)", downFor: world.random.between(.milliseconds(50), .seconds(15)))
        return true
    }

    /// Dies at a step.
    func die(_ why: String, downFor delay: SimulatedTime) { crash(why, downFor: delay) }

    // MARK: clock and names

    /// Seconds since 1970 by its own clock.
    var wallSeconds: Int64 { (World.epoch + world.now + clockError) / 1_000_000 }

    func mint() -> String {
        minted += 1
        return MintedName.make(
            seconds: wallSeconds, process: Int32(place * 1_000 + life), counter: minted, origin: name)
    }

    // MARK: others

    func isReachable(_ node: Int) -> Bool { suspectUntil[node].map { world.now >= $0 } ?? true }
    func suspect(_ node: Int) { suspectUntil[node] = world.now + Self.suspicion }
    func heard(_ node: Int) { suspectUntil[node] = nil }

    /// Asks a storage node of its own site, or a frontend of another one, something over the network.
    ///
    /// - Parameters:
    ///   - timeout: after which `then` is told nil.
    ///   - lag: after which `lagging` is called, once.
    ///   - repeats: whether the connection may break under it, so that it is sent again.
    ///   - request: what the node does; told whether it may have been sent before.
    ///   - then: called once.
    func ask<Answer>(
        _ asked: SimulatedProcess, timeout: SimulatedTime, lag: SimulatedTime? = nil, repeats: Bool = false,
        request: @escaping (_ isRepeat: Bool, _ reply: @escaping (Answer) -> Void) -> Void,
        lagging: @escaping () -> Void = {}, then: @escaping (Answer?) -> Void
    ) {
        let question = Question(then)
        let node = asked as? StorageNode
        send(question, to: asked, isRepeat: false, repeats: repeats, request)
        after(timeout) { [self] in
            guard !question.isOver else { return }
            if let node { suspect(node.index) }
            question.answer(nil)
        }
        guard let lag, lag < timeout else { return }
        after(lag) { [self] in
            guard !question.isOver else { return }
            if let node { suspect(node.index) }
            lagging()
        }
    }

    private func send<Answer>(
        _ question: Question<Answer>, to asked: SimulatedProcess, isRepeat: Bool, repeats: Bool,
        _ request: @escaping (_ isRepeat: Bool, _ reply: @escaping (Answer) -> Void) -> Void
    ) {
        let life = life
        world.network.send(from: self, to: asked, mayDouble: repeats) { [self, weak asked] in
            request(isRepeat) { [self] answer in
                guard let asked else { return }
                world.network.send(from: asked, to: self, mayDouble: repeats) { [self] in
                    guard life == self.life else { return }
                    if let node = asked as? StorageNode { heard(node.index) }
                    question.answer(answer)
                }
            }
        }
        guard repeats, world.random.chance(0.5) else { return }
        after(world.random.between(.milliseconds(200), .seconds(3))) { [self] in
            guard !question.isOver else { return }
            send(question, to: asked, isRepeat: true, repeats: true, request)
        }
    }
}
