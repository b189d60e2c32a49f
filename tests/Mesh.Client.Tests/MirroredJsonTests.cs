using System.Net.Http.Json;
using Mesh.Config;
using Mesh.Testing;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>A copy takes nothing away from the call.</summary>
public sealed class MirroredJsonTests : IAsyncLifetime
{
    private SteeredService _service = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _service = await SteeredService.StartAsync();

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task Json_ThatIsThereOnce_ReachesBothWhole()
    {
        _service.Serve(SteeredService.Route(f => f with { Mirrors = [new Mirror(SteeredService.Cluster("b"), 1_000_000)] }));
        var numbers = new Queue<int>([1, 2, 3]);
        using var content = JsonContent.Create(Once(numbers));

        using var response = await _service.Program.Client().PostAsync(new Uri("http://catalog/"), content, Cancel);

        Assert.Equal("[1,2,3]", Assert.Single(_service.Seen["a"]).Body);
        await Eventually.Async(() => _service.Seen["b"].Count == 1, "the copy to arrive");
        Assert.Equal("[1,2,3]", Assert.Single(_service.Seen["b"]).Body);

        static IEnumerable<int> Once(Queue<int> numbers)
        {
            while (numbers.TryDequeue(out var number))
            {
                yield return number;
            }
        }
    }
}
