using Xunit;

namespace Mesh.Telemetry;

public sealed class BoundedNamesTests
{
    [Fact]
    public void Of_PartOfAText_IsTheNameAsFirstSeen_AndTakesNoMemory()
    {
        var names = new BoundedNames(2);
        const string Path = "/shop.Cart/Add";
        var first = names.Of(Path.AsSpan().TrimStart('/'));
        Assert.Equal("shop.Cart/Add", first);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            Assert.Same(first, names.Of(Path.AsSpan().TrimStart('/')));
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal("b", names.Of("b".AsSpan()));
        Assert.Equal(BoundedNames.Other, names.Of("c".AsSpan()));
    }
}
