namespace Mesh.Balancing.Pickers;

/// <summary>One after another, as often as its weight says; from a random start, so that many clients do not begin at the same endpoint (gRFC A58).</summary>
/// <remarks>The order is worked out again when the endpoints are others or its time is over, by the pick that finds it so; when only its time is over, the others go on with the old one.</remarks>
internal sealed class RoundRobinPicker(EndpointWeights weights) : Picker
{
    private const long Unset = -1;
    private RotationSchedule? _schedule;
    private long _next = Unset;
    private int _renewing;

    public override BalancedEndpoint Pick(in Candidates candidates, Random random)
    {
        var schedule = ScheduleFor(candidates, random);
        if (schedule.IsWeighted)
        {
            // Whoever was tried is passed over; with few left, soon any of them.
            for (var i = 0; i < candidates.InUse.Length; i++)
            {
                if (schedule.Next(ref _next) is var endpoint && candidates.Takes(endpoint))
                {
                    return endpoint;
                }
            }
        }

        return candidates[(int)((ulong)Interlocked.Increment(ref _next) % (ulong)candidates.Count)];
    }

    private RotationSchedule ScheduleFor(in Candidates candidates, Random random)
    {
        var schedule = Volatile.Read(ref _schedule);
        if (schedule is null || !ReferenceEquals(schedule.Endpoints, candidates.InUse))
        {
            if (schedule is null)
            {
                Interlocked.CompareExchange(ref _next, random.NextInt64(int.MaxValue), Unset);
            }

            Volatile.Write(ref _schedule, schedule = RotationSchedule.Make(candidates.InUse, weights, candidates.Now));
        }
        else if (schedule.Until <= candidates.Now && Interlocked.CompareExchange(ref _renewing, 1, 0) == 0)
        {
            Volatile.Write(ref _schedule, schedule = RotationSchedule.Make(candidates.InUse, weights, candidates.Now));
            Volatile.Write(ref _renewing, 0);
        }

        return schedule;
    }
}

/// <summary>The order of a weighted rotation: in every round each endpoint either has its turn or is passed over, so that its turns per round follow its weight. Immutable.</summary>
/// <remarks>
/// The static stride scheduler of gRFC A58: the heaviest has a turn in each round; another one with a share s of that weight has one whenever s × round passes a whole number.
/// Endpoints begin at different fractions, so that the light ones do not all have their turns in the same round.
/// </remarks>
internal sealed class RotationSchedule
{
    // Shares are parts of 2^16.
    private const int Bits = 16;
    private const uint Whole = 1 << Bits;

    private readonly uint[]? _shares;

    private RotationSchedule(BalancedEndpoint[] endpoints, uint[]? shares, long until) => (Endpoints, _shares, Until) = (endpoints, shares, until);

    public BalancedEndpoint[] Endpoints { get; }

    /// <summary>Timestamp from which weights may be others.</summary>
    public long Until { get; }

    /// <summary>False when all have turns alike.</summary>
    public bool IsWeighted => _shares is not null;

    public static RotationSchedule Make(BalancedEndpoint[] endpoints, EndpointWeights weights, long now)
    {
        var given = new double[endpoints.Length];
        var until = weights.Compute(endpoints, now, given);
        var heaviest = given.Max();
        if (given.Min() == heaviest)
        {
            return new RotationSchedule(endpoints, null, until);
        }

        return new RotationSchedule(endpoints, [.. given.Select(w => (uint)Math.Clamp(Math.Round(w / heaviest * Whole), 1, Whole))], until);
    }

    /// <summary>The next one whose turn it is. Only when <see cref="IsWeighted"/>.</summary>
    /// <param name="turns">Counts turns, those passed over included.</param>
    public BalancedEndpoint Next(ref long turns)
    {
        while (true)
        {
            var turn = (ulong)Interlocked.Increment(ref turns);
            var at = (int)(turn % (ulong)_shares!.Length);
            var round = turn / (ulong)_shares.Length;
            var share = (ulong)_shares[at];
            // Golden-ratio steps spread any number of beginnings evenly.
            var begin = (round * share) + (((ulong)at * 40_503) & (Whole - 1));
            if (begin >> Bits != (begin + share) >> Bits)
            {
                return Endpoints[at];
            }
        }
    }
}
