namespace Shop.Payments;

/// <summary>Refuses the first attempt of every tenth payment, and no other: the shop's steady share of trouble.</summary>
/// <remarks>The replicas share a folder as real ones share a database, so that a retry is recognised wherever it lands. An entry lives from the refusal to the retry.</remarks>
internal sealed class RefusalLedger
{
    private const int Every = 10;
    private readonly string _folder;

    public RefusalLedger(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
    }

    public bool Refuses(long id)
    {
        if (id % Every != 0)
        {
            return false;
        }

        var entry = Path.Combine(_folder, id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        try
        {
            // Creating is atomic: of two attempts at the same moment exactly one is the first.
            using var created = new FileStream(entry, FileMode.CreateNew);
            return true;
        }
        catch (IOException) when (File.Exists(entry))
        {
            File.Delete(entry);
            return false;
        }
    }
}
