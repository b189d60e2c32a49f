namespace Mesh.ControlPlane.Telemetry;

/// <summary>Divides what a report counted over the slots that it is about: whole numbers whose sum is exactly what was reported.</summary>
/// <param name="shares">Of each slot; together 1.</param>
/// <remarks>What is too little to be divided goes where the golden ratio's steps fall: evenly, without chance, and alike in every bucket.</remarks>
internal sealed class Spread(IReadOnlyList<double> shares)
{
    private const double Step = 0.6180339887498949;
    private double _at = 0.5;

    public long[] Divide(long count)
    {
        var parts = new long[shares.Count];
        var left = count;
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = Math.Min(left, (long)Math.Floor(count * shares[i]));
            left -= parts[i];
        }

        for (; left > 0; left--)
        {
            parts[Next()]++;
        }

        return parts;
    }

    private int Next()
    {
        _at += Step;
        _at -= Math.Floor(_at);
        var sum = 0.0;
        for (var i = 0; i < shares.Count - 1; i++)
        {
            sum += shares[i];
            if (_at < sum)
            {
                return i;
            }
        }

        return shares.Count - 1;
    }
}
