namespace Mesh.Testing.Simulation;

/// <summary>How long something takes.</summary>
internal delegate TimeSpan Delay(Random random);

/// <summary>The usual ones.</summary>
internal static class Delays
{
    public static Delay None { get; } = static _ => TimeSpan.Zero;

    public static Delay Fixed(double milliseconds)
    {
        var time = Milliseconds(milliseconds);
        return _ => time;
    }

    public static Delay Uniform(double fromMilliseconds, double toMilliseconds) => random => Milliseconds(fromMilliseconds + (random.NextDouble() * (toMilliseconds - fromMilliseconds)));

    public static Delay Exponential(double meanMilliseconds) => random => Milliseconds(-Math.Log(1 - random.NextDouble()) * meanMilliseconds);

    /// <summary>What services look like: most are near the median, a few take long.</summary>
    /// <param name="sigma">Of the logarithm: with 0.2 p99 is 1.6 medians, with 0.5 it is 3.2, with 1 it is 10.</param>
    public static Delay LogNormal(double medianMilliseconds, double sigma) => random =>
    {
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return Milliseconds(medianMilliseconds * Math.Exp(sigma * normal));
    };

    /// <summary>Mostly the one, sometimes the other.</summary>
    public static Delay Mixed(Delay usual, Delay rare, double rareShare) => random => random.NextDouble() < rareShare ? rare(random) : usual(random);

    public static Delay Plus(this Delay delay, double milliseconds)
    {
        var more = Milliseconds(milliseconds);
        return random => delay(random) + more;
    }

    private static TimeSpan Milliseconds(double milliseconds) => TimeSpan.FromTicks((long)(milliseconds * TimeSpan.TicksPerMillisecond));
}
