using System.Diagnostics;

namespace Mesh.Fuzz.Tests;

/// <summary>Tries mutated inputs on one target. The same seed tries the same inputs in the same order. One thread.</summary>
internal sealed class Fuzzer(IFuzzTarget target, int seed)
{
    private const int MaxPool = 2_000;
    private const int MaxInput = 64 * 1024;
    private const int MaxShrinks = 2_000;

    private readonly Random _random = new(seed);
    private readonly HashSet<string> _outcomes = new(StringComparer.Ordinal);
    private readonly List<byte[]> _pool = [];
    private volatile byte[] _current = [];
    private long _startedAt;

    public int Seed => seed;

    /// <summary>Longest that a reader may take for one input; generous, for machines that do other things too.</summary>
    public TimeSpan LongestRun { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Inputs tried.</summary>
    public long Count { get; private set; }

    /// <summary>Kinds of outcomes seen.</summary>
    public int Outcomes => _outcomes.Count;

    /// <summary>The input that is being read, when it has taken too long already; for whoever watches from another thread.</summary>
    public byte[]? Hanging => Volatile.Read(ref _startedAt) is > 0 and var at && Stopwatch.GetElapsedTime(at) > LongestRun ? _current : null;

    /// <summary>The corpus as it is, then mutations of it until <paramref name="goOn"/> says no.</summary>
    /// <returns>The first failure; null when there was none.</returns>
    public FuzzFailure? Run(Func<long, bool> goOn)
    {
        foreach (var input in target.Corpus)
        {
            _pool.Add(input);
            if (Try(input) is { } failure)
            {
                return failure;
            }
        }

        while (goOn(Count))
        {
            if (Try(Mutate()) is { } failure)
            {
                return failure;
            }
        }

        return null;
    }

    private byte[] Mutate()
    {
        var input = _pool[_random.Next(_pool.Count)];
        for (var left = 1 + _random.Next(6); left > 0; left--)
        {
            // What knows the grammar goes deeper; what does not finds what the grammar's author forgot.
            var own = target.Mutations.Count > 0 && _random.Next(4) > 0;
            input = (own ? target.Mutations[_random.Next(target.Mutations.Count)] : _random.Next(8) == 0 ? new Splice(_pool[_random.Next(_pool.Count)]) : ByteMutation.Instance).Apply(input, _random);
        }

        return input.Length <= MaxInput ? input : input[..MaxInput];
    }

    private FuzzFailure? Try(byte[] input)
    {
        Count++;
        _current = input;
        var start = Stopwatch.GetTimestamp();
        Volatile.Write(ref _startedAt, start);
        try
        {
            var outcome = target.Run(input);
            if (Stopwatch.GetElapsedTime(start) > LongestRun)
            {
                return new FuzzFailure(target.Name, seed, Count, input, $"took {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, allowed are {LongestRun.TotalSeconds:0.#} s");
            }

            if (_outcomes.Add(outcome) && _pool.Count < MaxPool)
            {
                _pool.Add(input);
            }

            return null;
        }
        catch (Exception e)
        {
            // What is tried while it is made shorter is not the input that whoever watches would name.
            Volatile.Write(ref _startedAt, 0);
            var shrunk = Shrink(input, Kind(e));
            return new FuzzFailure(target.Name, seed, Count, shrunk, Failure(shrunk)?.ToString() ?? e.ToString());
        }
        finally
        {
            Volatile.Write(ref _startedAt, 0);
        }
    }

    /// <summary>Takes parts out, ever smaller ones, as long as it fails in the same way.</summary>
    private byte[] Shrink(byte[] input, string kind)
    {
        var tries = 0;
        for (var size = Math.Max(1, input.Length / 2); size > 0; size /= 2)
        {
            for (var at = 0; at + size <= input.Length && tries < MaxShrinks;)
            {
                byte[] shorter = [.. input.AsSpan(0, at), .. input.AsSpan(at + size)];
                tries++;
                if (Failure(shorter) is { } e && Kind(e) == kind)
                {
                    input = shorter;
                }
                else
                {
                    at += size;
                }
            }
        }

        return input;
    }

    private Exception? Failure(byte[] input)
    {
        try
        {
            target.Run(input);
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    /// <summary>Type and place: what tells one bug from another.</summary>
    private static string Kind(Exception e) => $"{e.GetType()} {new StackTrace(e).GetFrame(0)?.GetMethod()}{(e is BrokenInvariantException ? e.Message[..Math.Min(20, e.Message.Length)] : string.Empty)}";
}

/// <summary>An input on which a target failed.</summary>
internal sealed record FuzzFailure(string Target, int Seed, long Iteration, byte[] Input, string What)
{
    public override string ToString() =>
        $"{Target} failed at input {Iteration} of seed {Seed}. Run it again: eng/fuzz --input {(Input.Length == 0 ? "\"\"" : Convert.ToHexStringLower(Input))} {Target}{Environment.NewLine}{What}";
}
