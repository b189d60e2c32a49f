using System.Runtime.ExceptionServices;

namespace Mesh.Testing.Simulation;

/// <summary>One run of one seed: time, chance and the network that everything in it shares.</summary>
/// <remarks>
/// It lives on one thread without a synchronization context and without a task scheduler of its own. What is awaited in it is completed by the events of its own
/// <see cref="VirtualTime"/>, so that continuations run inline, one after the other.
/// </remarks>
internal sealed class SimulatedWorld
{
    // Continuations run nested in one another: the runtime moves them to the thread pool when the stack gets short, which must not happen.
    private const int StackBytes = 16 * 1024 * 1024;
    private Exception? _defect;

    private readonly Handover _handover = Handover.Begin();

    private SimulatedWorld(int seed)
    {
        Seed = seed;
        Random = new Random(seed);
        Time = new VirtualTime(_handover);
        Trace = new Trace(Time);
        Network = new SimulatedNetwork(this);
    }

    public int Seed { get; }

    public VirtualTime Time { get; }

    public Random Random { get; }

    public Trace Trace { get; }

    public SimulatedNetwork Network { get; }

    /// <summary>Runs a scenario to its end, on a thread of its own.</summary>
    /// <returns>What the scenario returned.</returns>
    public static T Run<T>(int seed, Func<SimulatedWorld, T> scenario)
    {
        T result = default!;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(
            () =>
            {
                try
                {
                    var world = new SimulatedWorld(seed);
                    result = scenario(world);
                    world.Check();
                }
#pragma warning disable CA1031 // thrown again on the caller's thread
                catch (Exception e)
#pragma warning restore CA1031
                {
                    failure = ExceptionDispatchInfo.Capture(e);
                }
            },
            StackBytes);
        // Without the caller's execution context: a test's or a bench's activity is none of the simulation's.
        thread.UnsafeStart();
        thread.Join();
        failure?.Throw();
        return result;
    }

    /// <summary>Goes on to a moment, counted from the start.</summary>
    public void RunUntil(double seconds)
    {
        Time.RunUntil(TimeSpan.FromSeconds(seconds));
        Check();
    }

    /// <summary>Goes on until it is so.</summary>
    public void RunUntil(Func<bool> condition, string what, double atMostSeconds = 60)
    {
        Time.RunUntil(condition, TimeSpan.FromSeconds(atMostSeconds), what);
        Check();
    }

    public void At(double seconds, Action action) => Time.After(TimeSpan.FromSeconds(seconds) - Time.Elapsed, action);

    /// <summary>Something that nobody awaits ended badly: the run fails.</summary>
    public void Fail(Exception defect) => _defect ??= defect;

    private void Check()
    {
        if (_defect is { } defect)
        {
            throw new InvalidOperationException($"The simulation with seed {Seed} broke at {Time.Elapsed.TotalSeconds:0.###} s: {defect.Message}", defect);
        }

        if (Time.ForeignUses > 0 || _handover.Strangers > 0)
        {
            throw new InvalidOperationException($"The simulation with seed {Seed} left its thread: {_handover.Strangers} strangers came, and its time was asked {Time.ForeignUses} times from another one, so it is not reproducible. The first time:\n{_handover.FirstStranger ?? Time.FirstForeignUse}");
        }
    }
}
