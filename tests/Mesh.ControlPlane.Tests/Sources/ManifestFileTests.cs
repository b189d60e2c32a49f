using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources.Manifests;
using Xunit;

namespace Mesh.ControlPlane.Tests.Sources;

public class ManifestFileTests
{
    [Fact]
    public void BrokenObject_KeepsItsLastGood_OthersChange()
    {
        var first = ManifestFile.Read("a.yaml", Manifests.Service("a", 80) + "\n---\n" + Manifests.Service("b", 80), null);
        var second = ManifestFile.Read("a.yaml", Manifests.Service("a", 99999) + "\n---\n" + Manifests.Service("b", 81), first);

        var model = Manifests.Assemble([second]);
        Assert.Equal(80, model.Services[new ServiceName("shop", "a")].Ports[0].Port);
        Assert.Equal(81, model.Services[new ServiceName("shop", "b")].Ports[0].Port);
        Assert.EndsWith("The last good version stays in force.", Assert.Single(model.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void BrokenYaml_KeepsTheWholeFile()
    {
        var first = ManifestFile.Read("a.yaml", Manifests.Service("a"), null);
        var second = ManifestFile.Read("a.yaml", "a: [", first);

        Assert.Single(Manifests.Assemble([second]).Services);
        Assert.EndsWith("What was last read from the file stays in force.", Assert.Single(second.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void EmptiedFile_KeepsWhatItHad()
    {
        var first = ManifestFile.Read("a.yaml", Manifests.Service("a"), null);
        var second = ManifestFile.Read("a.yaml", " \n", first);

        Assert.Single(second.Objects);
        Assert.Contains("Delete the file", Assert.Single(second.Problems).What, StringComparison.Ordinal);
    }

    [Fact]
    public void ObjectThatLostItsName_KeepsWhatIsGone()
    {
        var first = ManifestFile.Read("a.yaml", Manifests.Service("a"), null);
        var second = ManifestFile.Read("a.yaml", "apiVersion: v1\nkind: Service\nspec: {ports: [{port: 80}]}\n", first);

        Assert.Single(second.Objects);
    }

    [Fact]
    public void RemovedObject_IsGone()
    {
        var first = ManifestFile.Read("a.yaml", Manifests.Service("a") + "\n---\n" + Manifests.Service("b"), null);
        var second = ManifestFile.Read("a.yaml", Manifests.Service("b"), first);

        Assert.Equal("b", Assert.Single(second.Objects).Key.Name);
        Assert.Empty(second.Problems);
    }

    [Fact]
    public void SameObjectInTwoFiles_FirstByPathWins()
    {
        var model = Manifests.Assemble([ManifestFile.Read("a.yaml", Manifests.Service("a", 80), null), ManifestFile.Read("b.yaml", "\n" + Manifests.Service("a", 81), null)]);

        Assert.Equal(80, model.Services[new ServiceName("shop", "a")].Ports[0].Port);
        Assert.Equal(new SourceProblem("b.yaml:2", "Service 'shop/a' stands already at a.yaml:1, which is used. Remove one of the two."), Assert.Single(model.Problems));
    }

    [Fact]
    public void Read_FileOfManyDocuments_TakesTimeInProportion()
    {
        var few = Read(500);
        var many = Read(8_000);

        // In proportion it is 16 times as much; comparing each with each would be 256.
        Assert.True(many < Math.Max(few, 0.02) * 100, $"500 documents took {few:0.000} s, 8,000 took {many:0.000} s.");

        static double Read(int documents)
        {
            var text = string.Join("\n---\n", Enumerable.Range(0, documents).Select(i => Manifests.Service($"s{i}")));
            var started = System.Diagnostics.Stopwatch.GetTimestamp();
            Assert.Equal(documents, ManifestFile.Read("in.yaml", text, null).Objects.Length);
            return System.Diagnostics.Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }
}
