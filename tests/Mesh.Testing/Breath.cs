using Microsoft.Extensions.Time.Testing;

namespace Mesh.Testing;

/// <summary>Advances fake time in steps with room for loops in between: they take their next timer after they have run.</summary>
internal static class Breath
{
    public static async Task AdvanceAsync(FakeTimeProvider time, TimeSpan by, TimeSpan? step = null)
    {
        var each = step ?? (by < TimeSpan.FromMinutes(1) ? TimeSpan.FromMilliseconds(500) : TimeSpan.FromSeconds(15));
        using var breath = new PeriodicTimer(TimeSpan.FromMilliseconds(1));
        for (var done = TimeSpan.Zero; done < by; done += each)
        {
            time.Advance(each);
            await breath.WaitForNextTickAsync();
        }
    }
}
