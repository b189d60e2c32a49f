using Shop.Payments;

namespace Shop.Tests;

public sealed class PaymentsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("shop-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Ledger_EveryTenthPayment_RefusedOnceByAllReplicasTogether()
    {
        var replicas = new[] { new RefusalLedger(_folder.FullName), new RefusalLedger(_folder.FullName) };

        for (var id = 1L; id <= 40; id++)
        {
            Assert.Equal(id % 10 == 0, replicas[id % 20 == 0 ? 0 : 1].Refuses(id));
            if (id % 10 == 0)
            {
                Assert.False(replicas[id % 20 == 0 ? 1 : 0].Refuses(id));
            }
        }

        Assert.Empty(_folder.GetFiles());
    }

    [Fact]
    public void Ledger_SameReplicaAskedAgain_Agrees()
    {
        var replica = new RefusalLedger(_folder.FullName);

        Assert.True(replica.Refuses(10));
        Assert.False(replica.Refuses(10));
    }
}
